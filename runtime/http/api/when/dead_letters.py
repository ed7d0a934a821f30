"""/v1/dead-letters: the jobs that were given up, and their replay."""

from typing import Annotated

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from runtime.access.decisions import changes_of
from runtime.faults.errors import InputRefused
from runtime.http.api.models.sent_values import Flag, WholeNumber
from runtime.http.api.models.views import JobView, PageOf, page_view
from runtime.http.api.when.views import DeadLetterView, ReplayView
from runtime.http.context import (
    CallerOf,
    ClockOf,
    CursorOf,
    Limit,
    PrincipalOf,
    SightOf,
    StoreOf,
    SubmissionsOf,
    origin_of,
)
from runtime.http.entrance.operations import operations
from runtime.jobs.orders.replays import Which, replay
from runtime.store.access import audit
from runtime.store.jobs import dead_letters
from runtime.values.records import DeadLetter
from wheelhouse.problem import Problem

router = operations(prefix="/v1/dead-letters", tags=["jobs"])
MOST_NAMED = 1000


class ReplayOrder(BaseModel):
    """Which dead letters to try again: those named, or all of a package and a code."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"all": True, "package": "hello"}}
    )

    jobs: tuple[str, ...] = Field((), max_length=MOST_NAMED)
    all: Flag = Field(False, description="All there are, or all of the package and the code.")
    package: str | None = None
    code: str | None = None
    most: Annotated[WholeNumber, Field(ge=1, le=10_000)] = 1000

    def to_value(self) -> Which:
        """Return it as a value; raise InputRefused where it names none, or two things."""
        what = ""
        if self.jobs and (self.all or self.package or self.code):
            what = "jobs are named, and all are asked for too"
        elif not self.jobs and not self.all:
            what = "neither jobs are named nor all are asked for"
        if what:
            mend = 'name jobs, or say "all": true, with a package or a code if need be'
            problem = Problem(code="contradiction", what=what, where="replay: /jobs", mend=mend)
            raise InputRefused("It is not clear what to replay", problems=[problem])
        return Which(named=self.jobs, package=self.package, code=self.code, most=self.most)


@router.get("")
async def list_dead_letters(
    request: Request,
    response: Response,
    store: StoreOf,
    cursor: CursorOf,
    limit: Limit = 50,
    *,
    sight: SightOf,
    package: str | None = None,
    code: str | None = None,
) -> PageOf[DeadLetterView]:
    """Return the jobs that were given up, the last submitted first."""
    page = await store.read(
        dead_letters.list_letters,
        limit=limit,
        cursor=cursor,
        package=package,
        code=code,
        sight=sight,
    )
    return page_view(page, show=_view, request=request, response=response)


def _view(letter: DeadLetter) -> DeadLetterView:
    return DeadLetterView(
        code=letter.code,
        phase=letter.phase,
        attempts=letter.attempts,
        at=letter.at,
        job=JobView.model_validate(letter.job),
    )


@router.post("/replay")
async def replay_dead_letters(
    order: ReplayOrder,
    *,
    store: StoreOf,
    submissions: SubmissionsOf,
    principal: PrincipalOf,
    caller: CallerOf,
    clock: ClockOf,
) -> ReplayView:
    """Try dead letters again: one, some, or all that who asks may change.

    It stops where the queue is full, and says so in `refused`.
    """
    done = await replay(
        order.to_value(), store=store, submissions=submissions, sight=changes_of(principal)
    )
    await store.run(
        audit.append,
        at=clock(),
        who=caller.principal,
        action="dead-letters.replay",
        subject=order.package or "jobs",
        details={"replayed": len(done.replayed), "refused": len(done.refused)}
        | dict(origin_of(caller)),
    )
    return ReplayView.model_validate(done)
