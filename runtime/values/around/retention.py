"""How long inputs, outputs, events and rows of ended jobs are kept; who may have how many. Pure.

The artifact outlives all of them: what ran is on record when what it left is long gone.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from frozen.values import frozen
from runtime.values.access import is_bound_to
from runtime.values.states import State
from wheelhouse.problem import Problem

SPAN = re.compile(r"(\d{1,6})([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
NEVER = "never"
PATTERN = r"^(\*|[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?-?\*?)$"


class Kind(StrEnum):
    """What goes by itself, each after its own time."""

    INPUTS = "inputs"
    OUTPUTS = "outputs"
    EVENTS = "events"
    ROWS = "rows"


@frozen
class FormerJob:
    """What stays of a job whose row has gone: whose it was, so that its artifact can be read."""

    id: str
    package: str
    owner: str
    attempt: int


type Keeping = Mapping[Kind, timedelta | None]
"""How long each is kept after the end of a job; None: for ever."""


def _span(text: str) -> str:
    if text != NEVER and not SPAN.fullmatch(text):
        raise ValueError(f"{text!r} is no span, such as 30d, 12h, or never (it is kept for ever)")
    return text


def span_of(text: str) -> timedelta | None:
    """Return the span that `text` says; None for never.

    >>> span_of("36h"), span_of("never")
    (datetime.timedelta(days=1, seconds=43200), None)
    """
    found = SPAN.fullmatch(text)
    return timedelta(**{UNITS[found[2]]: int(found[1])}) if found else None


type Span = Annotated[str, Field(pattern=r"^(never|[0-9]{1,6}[smhd])$"), AfterValidator(_span)]
type PackagePattern = Annotated[str, Field(pattern=PATTERN, max_length=64)]


class Rule(BaseModel):
    """How long things of some jobs are kept: of packages, in a state. What is not said is open."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    package: PackagePattern = Field("*", description="A name, a prefix with *, or * for any.")
    state: Literal["succeeded", "failed", "cancelled"] | None = None
    inputs: Span | None = None
    outputs: Span | None = None
    events: Span | None = None
    rows: Span | None = Field(None, description="The job itself, in lists; its artifact stays.")


class Quota(BaseModel):
    """How much may lie here of some packages, or of one principal; measured once a minute."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    package: PackagePattern | None = None
    principal: Annotated[str, Field(max_length=200)] | None = None
    jobs: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        None, description="Jobs, ended ones too."
    )
    mb: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        None, description="MiB of their inputs and outputs."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Refuse a quota of nobody, or of nothing."""
        if (self.package is None) == (self.principal is None):
            raise ValueError("name either a package or a principal")
        if self.jobs is None and self.mb is None:
            raise ValueError("say how many jobs, or how many MiB")
        return self


class RetentionSettings(BaseModel):
    """How long things of ended jobs are kept: spans such as 30d or 12h, or never to remove them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: Span = "30d"
    outputs: Span = "90d"
    events: Span = "90d"
    rows: Span = "365d"
    rules: tuple[Rule, ...] = ()
    """For some packages or states; what an admin sets by `fumehood retention set` goes before."""
    quotas: tuple[Quota, ...] = ()

    def as_rules(self) -> tuple[Rule, ...]:
        """Return all that the settings say, as rules."""
        usual = {kind.value: getattr(self, kind.value) for kind in Kind}
        return (Rule(**usual), *self.rules)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        """Refuse rules that contradict each other."""
        for problem in judge_rules(self.as_rules()):
            raise ValueError(f"{problem.where}: {problem.what}")
        return self


class Policy(BaseModel):
    """What an admin has set while the appliance runs: it goes before the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: Annotated[tuple[Rule, ...], Field(max_length=100)] = ()
    quotas: Annotated[tuple[Quota, ...], Field(max_length=100)] = ()


@frozen
class Ended:
    """What is known of an ended job, as far as it counts here."""

    id: str
    package: str
    state: State
    finished_at: datetime
    gone: frozenset[Kind]
    is_pinned: bool = False


def keeping(rules: Iterable[Rule], *, package: str, state: State) -> Keeping:
    """Return how long things of such a job are kept: what names it most closely says so.

    >>> rules = [Rule(inputs="30d"), Rule(package="hello", inputs="1d")]
    >>> keeping(rules, package="hello", state=State.FAILED)[Kind.INPUTS].days
    1
    """
    spans: dict[Kind, timedelta | None] = dict.fromkeys(Kind)
    for rule in sorted(rules, key=_closeness):
        is_of_state = rule.state in {None, state.value}
        if is_of_state and is_bound_to((rule.package,), package):
            for kind in Kind:
                if (said := getattr(rule, kind.value)) is not None:
                    spans[kind] = span_of(said)
    return spans


def _closeness(rule: Rule) -> tuple[int, int]:
    """Return how closely a rule names its jobs: the package counts before the state."""
    of_package = len(rule.package) + (0 if rule.package.endswith("*") else 1000)
    return of_package, rule.state is not None


def due(job: Ended, *, spans: Keeping, at: datetime) -> frozenset[Kind]:
    """Return what of an ended job goes now. Nothing of a pinned one; with the row all of it."""
    if job.is_pinned:
        return frozenset()
    over = {
        kind for kind, span in spans.items() if span is not None and at >= job.finished_at + span
    }
    return frozenset(Kind) - job.gone if Kind.ROWS in over else frozenset(over) - job.gone


def shortest(rules: Iterable[Rule]) -> timedelta | None:
    """Return the shortest span of all: of a younger job nothing goes. None where all is kept."""
    said = [getattr(rule, kind.value) for rule in rules for kind in Kind]
    spans = [span for text in said if text and (span := span_of(text)) is not None]
    return min(spans, default=None)


def judge_rules(rules: Iterable[Rule]) -> tuple[Problem, ...]:
    """Return a problem for each rule that contradicts itself or another one."""
    return tuple(_faults(tuple(rules)))


def _faults(rules: tuple[Rule, ...]) -> Iterator[Problem]:
    seen: set[tuple[str, str | None]] = set()
    for number, rule in enumerate(rules):
        place = f"rules/{number}"
        key = (rule.package, rule.state)
        if key in seen:
            what = f"there are two rules for {rule.package}, {rule.state or 'any state'}"
            yield _fault("rule-twice", what, place, "make one of them")
        seen.add(key)
        rows = span_of(rule.rows) if rule.rows else None
        said = {kind: text for kind in Kind if (text := getattr(rule, kind.value)) is not None}
        longer = [kind for kind, text in said.items() if rows and _is_longer(span_of(text), rows)]
        if longer:
            what = f"{', '.join(longer)} would be kept for longer than the rows that name them"
            yield _fault("outlives-its-row", what, place, "let rows be the longest of its spans")


def _is_longer(span: timedelta | None, rows: timedelta) -> bool:
    return span is None or span > rows


def over_quota(
    quotas: Iterable[Quota], *, package: str, principal: str, used: Mapping[Quota, tuple[int, int]]
) -> tuple[Problem, ...]:
    """Return a problem for each quota that leaves no room; `used` are jobs and bytes of each."""
    return tuple(
        problem
        for quota in quotas
        if _is_of(quota, package=package, principal=principal)
        for problem in _over(quota, *used.get(quota, (0, 0)))
    )


def _is_of(quota: Quota, *, package: str, principal: str) -> bool:
    if quota.package is not None:
        return is_bound_to((quota.package,), package)
    return quota.principal == principal


def _over(quota: Quota, jobs: int, size_bytes: int) -> Iterator[Problem]:
    whose = f"of {quota.package or quota.principal}"
    mend = "delete what is not needed (`fumehood bulk delete`), or ask an admin for more"
    if quota.jobs is not None and jobs >= quota.jobs:
        what = f"there are {jobs} jobs {whose}, and {quota.jobs} may be"
        yield _fault("too-many-jobs", what, "quota", mend)
    if quota.mb is not None and size_bytes >= quota.mb << 20:
        what = f"{size_bytes >> 20} MiB {whose} lie here, and {quota.mb} may"
        yield _fault("too-many-bytes", what, "quota", mend)


def _fault(code: str, what: str, where: str, mend: str) -> Problem:
    return Problem(code=code, what=what, where=where, mend=mend)
