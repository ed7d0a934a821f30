"""If-Match (RFC 9110, 13.1.1): a change to what was read, and to nothing that came since.

The tag is that of the answer to a GET; it is compared in the transaction of the change, so that
of two who read the same, one is told that it came second.
"""

from collections.abc import Callable
from typing import Annotated, Concatenate

from fastapi import Depends, Header
from pydantic import BaseModel
from sqlalchemy import Connection

from runtime.faults.errors import PreconditionFailed, PreconditionRequired
from runtime.http.conditional import is_known, tag_of

type Look = Callable[[Connection], BaseModel]
"""How to see what would be changed, as a GET shows it."""


class Precondition:
    """What a request says of what it changes; `said` is its If-Match, empty for none."""

    def __init__(self, said: str) -> None:
        self._field = said

    def check(self, view: BaseModel, *, is_needed: bool) -> None:
        """Compare with what is there now. Raises PreconditionFailed or PreconditionRequired."""
        tag = view_tag(view)
        if not self._field:
            if is_needed:
                raise PreconditionRequired(
                    where="header: If-Match",
                    mend=f"read it first, then send its ETag; now that is {tag}",
                )
            return
        if not is_known(tag, said=self._field):
            raise PreconditionFailed(
                where="header: If-Match",
                mend="read it again, and decide anew; somebody else has changed it",
            )

    def before[**P, T](
        self, act: Callable[Concatenate[Connection, P], T], *, look: Look, is_needed: bool
    ) -> Callable[Concatenate[Connection, P], T]:
        """Return `act` with the check before it, in the same transaction."""

        def checked(connection: Connection, /, *args: P.args, **kwargs: P.kwargs) -> T:
            self.check(look(connection), is_needed=is_needed)
            return act(connection, *args, **kwargs)

        return checked


def view_tag(view: BaseModel) -> str:
    """Return the tag of a view: that of what a GET sends of it."""
    return tag_of(view.model_dump_json().encode())


async def _precondition(
    if_match: Annotated[str, Header(description="The ETag of what is changed.")] = "",
) -> Precondition:
    return Precondition(if_match)


PreconditionOf = Annotated[Precondition, Depends(_precondition)]
