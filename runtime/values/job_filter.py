"""Which jobs are meant: by a list, by a bulk operation, by a saved preset. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from frozen.values import frozen
from runtime.values.labels import NAME, label_of
from runtime.values.states import State
from wheelhouse.problem import Problem, shown

MOST_TEXT_CHARS = 200
YEARS = range(2000, 9001)
UPLOAD_AT_MOST = timedelta(days=1)
"""A job's id is made as its order begins to arrive, which may be that long before it is stored."""


@frozen
class JobFilter:
    """Conditions that hold together; what is None or empty asks for nothing.

    `labels` are pairs of a name and a value, or a name alone (None: whatever its value). `text` is
    looked for in the id, in labels and in what the error says.
    """

    state: State | None = None
    package: str | None = None
    version: str | None = None
    principal: str | None = None
    worker: str | None = None
    batch: str | None = None
    error: str | None = None
    labels: tuple[tuple[str, str | None], ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None

    @property
    def is_empty(self) -> bool:
        """Return whether every job is meant."""
        return self == ANY_JOB


ANY_JOB = JobFilter()


class Way(StrEnum):
    """The index that a list is read along: each ends with the id, so that none is sorted."""

    BATCH = "batch"
    LABEL = "label"
    ERROR = "error"
    VERSION = "package and version"
    PACKAGE_STATE = "package and state"
    PRINCIPAL_STATE = "principal and state"
    WORKER = "worker"
    PACKAGE = "package"
    PRINCIPAL = "principal"
    STATE = "state"
    ALL = "id"


def way_of(wanted: JobFilter) -> Way:
    """Return the way on which the fewest jobs stand that are not wanted, as a rule.

    >>> way_of(JobFilter(state=State.FAILED, batch="nightly")).value, way_of(ANY_JOB).value
    ('batch', 'id')
    """
    return next(way for way, is_open in _ways(wanted) if is_open)


def _ways(wanted: JobFilter) -> Iterator[tuple[Way, bool]]:
    is_state, is_package = wanted.state is not None, wanted.package is not None
    is_principal = wanted.principal is not None
    yield Way.BATCH, wanted.batch is not None
    yield Way.LABEL, any(value is not None for _, value in wanted.labels)
    yield Way.ERROR, wanted.error is not None
    yield Way.VERSION, is_package and wanted.version is not None
    yield Way.PACKAGE_STATE, is_package and is_state
    yield Way.PRINCIPAL_STATE, is_principal and is_state
    yield Way.WORKER, wanted.worker is not None
    yield Way.PACKAGE, is_package
    yield Way.PRINCIPAL, is_principal
    yield Way.STATE, is_state
    yield Way.ALL, True


def laid_over(preset: JobFilter, given: JobFilter) -> JobFilter:
    """Return `preset` with what is `given` besides: each of its conditions takes the place of one.

    >>> laid_over(JobFilter(package="a", error="x"), JobFilter(package="b")).package
    'b'
    """
    empty = ANY_JOB
    names = [one.name for one in fields(JobFilter)]
    said = {name: getattr(given, name) for name in names}
    return replace(
        preset, **{name: value for name, value in said.items() if value != getattr(empty, name)}
    )


def judge_filter(wanted: JobFilter) -> tuple[Problem, ...]:
    """Return a problem for each condition that no job can meet, or nobody can mean."""
    return tuple(_faults(wanted))


def _faults(wanted: JobFilter) -> Iterator[Problem]:
    if wanted.since and wanted.until and wanted.since >= wanted.until:
        what = "it begins when it has ended: no job can be in it"
        yield _fault("empty-span", what, "since", "let `since` be before `until`")
    for place in ("since", "until"):
        moment = getattr(wanted, place)
        if moment is not None and moment.year not in YEARS:
            what = f"the year {moment.year} is in no age of ours"
            yield _fault("no-such-time", what, place, f"from {YEARS[0]} to {YEARS[-1]}")
    if wanted.text is not None and len(wanted.text) > MOST_TEXT_CHARS:
        what = f"it has {len(wanted.text)} characters"
        yield _fault("text-too-long", what, "text", f"look for {MOST_TEXT_CHARS} at most")
    for name, _ in wanted.labels:
        if not re.fullmatch(NAME, name):
            what = f"{shown(name)!r} cannot be the name of a label"
            yield _fault("label-name", what, "label", "write name=value, or a name alone")


def filter_from(texts: Mapping[str, Any]) -> JobFilter:
    """Return the filter that plain values hold, as it is stored and sent."""
    known = {one.name for one in fields(JobFilter)}
    given = {name: value for name, value in texts.items() if name in known and value is not None}
    for name in ("since", "until"):
        if isinstance(given.get(name), str):
            given[name] = datetime.fromisoformat(given[name])
    if "state" in given:
        given["state"] = State(given["state"])
    if "labels" in given:
        given["labels"] = tuple(label_of(one) for one in given["labels"])
    return JobFilter(**given)


def filter_to(wanted: JobFilter) -> dict[str, Any]:
    """Return a filter as plain values: what asks for nothing is left out.

    >>> filter_to(JobFilter(state=State.FAILED, labels=(("customer", "acme"), ("urgent", None))))
    {'state': 'failed', 'labels': ['customer=acme', 'urgent']}
    """
    told: dict[str, Any] = {}
    for one in fields(JobFilter):
        value = getattr(wanted, one.name)
        if one.name == "labels":
            value = [name if of is None else f"{name}={of}" for name, of in wanted.labels]
        if value:
            told[one.name] = value.isoformat() if isinstance(value, datetime) else value
    return told


def _fault(code: str, what: str, where: str, mend: str) -> Problem:
    return Problem(code=code, what=what, where=where, mend=mend)
