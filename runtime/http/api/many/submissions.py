"""POST /v1/submissions: many orders at once, one on a line, one answer on a line."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from pydantic import Field, TypeAdapter, ValidationError

from runtime.faults.errors import InputRefused, Malformed
from runtime.http.api.jobs.jobs import JobOrder, around_of
from runtime.http.api.jobs.streams import NDJSON
from runtime.http.api.models.views import JobView
from runtime.http.bodies.bodies import whole_body
from runtime.http.context import CallerOf, PrincipalOf, SubmissionsOf
from runtime.http.entrance.operations import operations
from runtime.jobs.orders.many import MOST, Line, Told, submit_all, submit_each
from runtime.jobs.orders.orders import Sender
from runtime.problem_table import fault_of
from runtime.store.packages.packages import no_package
from runtime.values.access import is_bound_to
from runtime.values.records import RequestContext
from sandbox.limits import MIB
from wheelhouse.problem import Problem

router = operations(prefix="/v1/submissions", tags=["jobs"])
MOST_BYTES = 16 * MIB
MOST_FAULTS = 100


class LineOrder(JobOrder):
    """One line: an order as for one job, without files. `key` is its Idempotency-Key."""

    key: Annotated[str, Field(max_length=255)] = ""


ORDER = TypeAdapter(LineOrder)
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {NDJSON: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "",
    response_class=Response,
    openapi_extra=BODY,
    responses={200: {"description": "One answer on a line.", "content": {NDJSON: {}}}},
)
async def submit_many(
    request: Request,
    caller: CallerOf,
    principal: PrincipalOf,
    *,
    submissions: SubmissionsOf,
    mode: Annotated[
        Literal["each", "all"],
        Query(description="each: what is good is taken; all: either every line is, or none."),
    ] = "each",
) -> Response:
    """Submit up to 1,000 jobs: NDJSON, an order on each line, as for one job and without files.

    The answer has a line for each, in their order: `{"line": 1, "status": 202, "job": …}` or
    `{"line": 2, "status": 422, "problem": …}`. With `mode=all` a bad line refuses all of them.
    """
    body = await whole_body(request, most_bytes=MOST_BYTES)
    # Beside the event loop: a thousand lines of what is no order took it for seconds.
    read = await asyncio.to_thread(_read_all, body, caller=caller, among=principal.packages)
    lines = [one for one in read if isinstance(one, Line)]
    refused = [one for one in read if isinstance(one, Told)]
    if mode == "all":
        _refuse_bad(refused)
        told = await submit_all(submissions, lines)
    else:
        told = [*refused, *await submit_each(submissions, lines)]
    answer = b"".join(_lines(sorted(told, key=lambda one: one.number)))
    return Response(answer, media_type=NDJSON)


def _read_all(body: bytes, *, caller: RequestContext, among: tuple[str, ...]) -> list[Line | Told]:
    return [_read(number, text, caller=caller, among=among) for number, text in _texts(body)]


def _texts(body: bytes) -> list[tuple[int, str]]:
    """Return the lines that say something, with their numbers. Raises Malformed, InputRefused."""
    try:
        lines = body.decode().splitlines()
    except UnicodeDecodeError as error:
        raise Malformed("The lines are not UTF-8", where="body") from error
    found = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not found or len(found) > MOST:
        what = f"there are {len(found)} orders, and 1 to {MOST} may be sent at once"
        mend = "send one JSON object on each line, and more than that in several parts"
        problem = Problem(code="number-of-lines", what=what, where="body", mend=mend)
        raise InputRefused("These are not orders", problems=[problem])
    return found


def _read(number: int, text: str, *, caller: RequestContext, among: tuple[str, ...]) -> Line | Told:
    try:
        order = ORDER.validate_json(text)
    except ValidationError as error:
        problems = _faults(error)
        refused = InputRefused("The job cannot be accepted as it is", problems=problems)
        return Told(number=number, fault=fault_of(refused))
    if not is_bound_to(among, order.package):
        return Told(number=number, fault=fault_of(no_package(order.package)))
    return Line(
        number=number,
        package=order.package,
        version=order.version,
        parameters=order.parameters,
        around=around_of(order),
        wish=order.to_wish(),
        sender=Sender(request=caller, key=order.key.strip().strip('"')),
    )


def _faults(error: ValidationError) -> list[Problem]:
    """Return what is wrong with a line; of very much, how much it is."""
    mend = 'an order is {"package": NAME, "version": …, "parameters": {…}}'
    count = error.error_count()
    if count > MOST_FAULTS:
        what = f"{count} things are wrong with it"
        return [Problem(code="invalid-value", what=what, where="/", mend=mend)]
    return [
        Problem(
            code="invalid-value",
            what=fault["msg"],
            where="/" + "/".join(map(str, fault["loc"])),
            mend=mend,
        )
        for fault in error.errors(include_url=False)
    ]


def _refuse_bad(refused: Sequence[Told]) -> None:
    problems = [
        Problem(
            code=one.code, what=one.what, where=f"line {told.number}: {one.where}", mend=one.mend
        )
        for told in refused
        if told.fault
        for one in told.fault.problems
    ]
    if problems:
        raise InputRefused("None was taken, since some cannot be", problems=problems)


def _lines(told: Sequence[Told]) -> Iterator[bytes]:
    for one in told:
        line: dict[str, Any] = {"line": one.number}
        if one.job is not None:
            view = JobView.model_validate(one.job).model_dump(mode="json")
            line |= {"status": 202, "job": view}
        elif one.fault is not None:
            problem = one.fault.to_document(instance="/v1/submissions")
            line |= {"status": one.fault.answer.status, "problem": problem}
        yield (json.dumps(line, ensure_ascii=False) + "\n").encode(errors="replace")
