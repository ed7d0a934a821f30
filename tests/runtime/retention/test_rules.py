"""What goes when: what names a job most closely decides, and nothing outlives its row."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runtime.values.around.retention import (
    Ended,
    Kind,
    Quota,
    RetentionSettings,
    Rule,
    due,
    judge_rules,
    keeping,
    over_quota,
    shortest,
    span_of,
)
from runtime.values.states import FINAL, State

from ..conftest import NOON

SPANS = st.none() | st.sampled_from(["never", "0s", "1h", "2d", "400d"])
RULES = st.builds(
    Rule,
    package=st.sampled_from(["*", "a", "ab", "a*", "b-*"]),
    state=st.none() | st.sampled_from(sorted(FINAL)),
    inputs=SPANS,
    outputs=SPANS,
    events=SPANS,
    rows=SPANS,
)
JOBS = st.builds(
    Ended,
    id=st.just("j"),
    package=st.sampled_from(["a", "ab", "b-c", "other"]),
    state=st.sampled_from(sorted(FINAL)),
    finished_at=st.just(NOON),
    gone=st.frozensets(st.sampled_from([Kind.INPUTS, Kind.OUTPUTS, Kind.EVENTS])),
    is_pinned=st.booleans(),
)


@given(st.lists(RULES, max_size=5), JOBS, st.integers(0, 500))
def test_nothing_goes_before_its_time_twice_or_against_a_pin(
    rules: list[Rule], job: Ended, days: int
) -> None:
    at = NOON + timedelta(days=days)
    spans = keeping(rules, package=job.package, state=job.state)
    going = due(job, spans=spans, at=at)
    assert not going & job.gone
    assert not (job.is_pinned and going)
    for kind in going:
        own, rows = spans[kind], spans[Kind.ROWS]
        assert any(span is not None and at >= NOON + span for span in (own, rows))
    if Kind.ROWS in going:
        assert going == frozenset(Kind) - job.gone
    limit = shortest(rules)
    assert not going or (limit is not None and at >= NOON + limit), "a look leaves nobody out"


def test_what_names_a_job_most_closely_decides() -> None:
    rules = [
        Rule(package="team-one", state="failed", inputs="4d"),
        Rule(inputs="1d", rows="9d"),
        Rule(package="team-one", inputs="3d"),
        Rule(package="team-*", inputs="2d"),
        Rule(state="failed", inputs="5d"),
    ]

    def days(package: str, state: State) -> int:
        span = keeping(rules, package=package, state=state)[Kind.INPUTS]
        assert span is not None
        return span.days

    assert days("other", State.SUCCEEDED) == 1
    assert days("other", State.FAILED) == 5
    assert days("team-two", State.FAILED) == 2
    assert days("team-one", State.SUCCEEDED) == 3
    assert days("team-one", State.FAILED) == 4
    assert keeping(rules, package="team-one", state=State.FAILED)[Kind.EVENTS] is None


def test_rules_that_contradict_are_refused_all_at_once() -> None:
    rules = [
        Rule(package="a", inputs="3d", outputs="never", rows="2d"),
        Rule(package="a"),
        Rule(package="a", state="failed", rows="1d", events="1d"),
    ]
    assert [(one.code, one.where) for one in judge_rules(rules)] == [
        ("outlives-its-row", "rules/0"),
        ("rule-twice", "rules/1"),
    ]
    with pytest.raises(ValidationError, match="longer than the rows"):
        RetentionSettings(inputs="30d", rows="1d")
    with pytest.raises(ValidationError):
        RetentionSettings(inputs="soon")
    with pytest.raises(ValidationError, match="either a package or a principal"):
        Quota(jobs=3)
    assert span_of("90m") == timedelta(minutes=90)


def test_a_quota_is_about_those_that_it_names() -> None:
    ana, team = Quota(principal="token:ana", jobs=10), Quota(package="team-*", mb=1)
    used = {ana: (10, 0), team: (3, 1 << 20)}

    def codes(package: str, principal: str) -> list[str]:
        found = over_quota(used, package=package, principal=principal, used=used)
        return [one.code for one in found]

    assert codes("other", "token:bob") == []
    assert codes("other", "token:ana") == ["too-many-jobs"]
    assert codes("team-one", "token:ana") == ["too-many-jobs", "too-many-bytes"]
    assert over_quota([ana], package="x", principal="token:ana", used={}) == ()
