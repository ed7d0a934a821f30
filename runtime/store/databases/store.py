"""What every store can do: run one function in one transaction."""

from collections.abc import Callable
from typing import Concatenate, Protocol

from sqlalchemy import Connection


class Store(Protocol):
    """The database, reached one unit of work at a time."""

    async def run[**P, T](
        self, act: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `act(connection, …)` in a transaction; commit, or roll back when it raises."""
        ...

    async def read[**P, T](
        self, ask: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `ask(connection, …)`, which changes nothing: it may see a moment ago, never less.

        What was committed before the call is seen.
        """
        ...

    async def close(self) -> None:
        """Let go of the database."""
        ...
