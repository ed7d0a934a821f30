"""When a schedule comes: by cron through every change of clocks, or every so many seconds."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.values.when.ticks import MISSED_AFTER, MOST_AT_ONCE, Missed, due_ticks
from runtime.values.when.timetable import (
    Timetable,
    judge_timetable,
    last_tick,
    next_tick,
    next_ticks,
)

from ..conftest import NOON

BERLIN = "Europe/Berlin"
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
CRONS = st.sampled_from(
    ["30 6 * * *", "*/7 * * * *", "0 2 * * *", "30 2 29 2 *", "15 */3 * * 1-5", "0 0 L * *"]
)
ZONES = st.sampled_from([BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
TIMETABLES = st.one_of(
    st.builds(Timetable, start=st.just(NOON), cron=CRONS, zone=ZONES),
    st.builds(Timetable, start=st.just(NOON), every_s=st.integers(1, 100_000)),
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def ticks(cron: str, *, since: str, number: int, zone: str = BERLIN) -> list[str]:
    timetable = Timetable(start=NOON, cron=cron, zone=zone)
    return [f"{one:%dT%H:%M}Z" for one in next_ticks(timetable, after=at(since), number=number)]


def test_what_falls_into_the_hour_that_is_left_out_comes_right_after_it() -> None:
    # Berlin goes from 02:00 to 03:00 on 2026-03-29, at 01:00 UTC.
    spring = ticks("30 2 * * *", since="2026-03-28T12:00Z", number=2)
    assert spring == ["29T01:00Z", "30T00:30Z"]


def test_what_would_come_twice_comes_once() -> None:
    # Berlin goes from 03:00 back to 02:00 on 2026-10-25, at 01:00 UTC.
    autumn = ticks("30 2 * * *", since="2026-10-24T12:00Z", number=2)
    assert autumn == ["25T00:30Z", "26T01:30Z"]


def test_every_half_hour_is_every_half_hour_through_the_hour_that_comes_twice() -> None:
    autumn = ticks("*/30 * * * *", since="2026-10-24T23:59Z", number=6)
    assert autumn == ["25T00:00Z", "25T00:30Z", "25T01:00Z", "25T01:30Z", "25T02:00Z", "25T02:30Z"]


def test_a_working_day_is_one_in_its_own_zone() -> None:
    # Monday in Auckland is Sunday in UTC.
    monday = ticks("0 8 * * 1", since="2026-11-27T00:00Z", number=1, zone="Pacific/Auckland")
    assert monday == ["29T19:00Z"]


@given(timetable=TIMETABLES, moment=MOMENTS)
def test_ticks_rise_and_none_is_left_out_between_two_looks(
    timetable: Timetable, moment: datetime
) -> None:
    coming = next_ticks(timetable, after=moment, number=6)
    assert list(coming) == sorted(set(coming))
    assert all(one > moment for one in coming)
    for one, following in pairwise(coming):
        assert next_tick(timetable, after=one) == following
        if timetable.cron == "" or timetable.zone == "UTC":
            assert last_tick(timetable, at=following - timedelta(seconds=1)) == one


@given(
    timetable=TIMETABLES,
    moment=MOMENTS,
    pauses=st.lists(st.integers(0, 90_000), min_size=1, max_size=12),
    missed=st.sampled_from(list(Missed)),
)
def test_however_seldom_one_looks_no_tick_runs_twice_and_all_means_all(
    timetable: Timetable, moment: datetime, pauses: list[int], missed: Missed
) -> None:
    waits_for = next_tick(timetable, after=moment)
    first, now, ran = waits_for, moment, []
    for pause_s in pauses:
        now += timedelta(seconds=pause_s)
        if waits_for is None:
            return
        due = due_ticks(timetable, waits_for=waits_for, now=now, missed=missed)
        assert all(one <= now for one in due.run)
        assert due.next_at is None or due.next_at >= waits_for
        ran += due.run
        waits_for = due.next_at
    assert len(ran) == len(set(ran))
    if missed is Missed.ALL and first is not None and ran:
        assert ran == list(
            next_ticks(timetable, after=first - timedelta(seconds=1), number=len(ran))
        )


def test_the_three_rules_for_missed_ticks() -> None:
    hourly = Timetable(start=NOON, every_s=3600)
    waits_for, now = NOON + timedelta(hours=1), NOON + timedelta(hours=4, minutes=30)
    seen = {one: due_ticks(hourly, waits_for=waits_for, now=now, missed=one) for one in Missed}
    hours = {
        one: [(run - NOON) // timedelta(hours=1) for run in due.run] for one, due in seen.items()
    }
    assert hours == {Missed.SKIP: [], Missed.ONCE: [4], Missed.ALL: [1, 2, 3, 4]}
    assert {due.next_at for due in seen.values()} == {NOON + timedelta(hours=5)}
    assert seen[Missed.SKIP].left_out == waits_for
    a_little_late = waits_for + MISSED_AFTER
    for one in Missed:
        due = due_ticks(hourly, waits_for=waits_for, now=a_little_late, missed=one)
        assert due.run == (waits_for,)


def test_a_long_absence_is_caught_up_with_in_bounded_steps() -> None:
    often = Timetable(start=NOON, every_s=1)
    now = NOON + timedelta(days=30)
    due = due_ticks(often, waits_for=NOON + timedelta(seconds=1), now=now, missed=Missed.ALL)
    assert len(due.run) == MOST_AT_ONCE
    assert due.next_at == NOON + timedelta(seconds=MOST_AT_ONCE + 1)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"cron": "0 0 30 2 *"}, "bad-cron"),
        ({"cron": "0 0 31 4,6 *"}, "bad-cron"),
        ({"cron": "61 * * * *"}, "bad-cron"),
        ({"cron": "* * * *"}, "bad-cron"),
        ({"cron": "* * * * * *"}, "bad-cron"),
        ({"cron": "@daily"}, "bad-cron"),
        ({"cron": "* " * 200}, "bad-cron"),
        ({}, "contradiction"),
        ({"cron": "* * * * *", "every_s": 5}, "contradiction"),
        ({"cron": "* * * * *", "zone": "Europe/Atlantis"}, "unknown-zone"),
        ({"cron": "* * * * *", "zone": "../../etc/passwd"}, "unknown-zone"),
        ({"cron": "* * * * *", "zone": "Europe"}, "unknown-zone"),
        ({"cron": "* * * * *", "zone": ""}, "unknown-zone"),
        ({"cron": "* * * * *", "zone": "a\0b"}, "unknown-zone"),
    ],
)
def test_what_is_no_timetable_is_refused_with_place_and_mend(
    fields: dict[str, str | int], code: str
) -> None:
    problems = list(judge_timetable(Timetable(start=NOON, **fields), at=NOON))
    assert [one.code for one in problems] == [code]
    assert problems[0].where.startswith("schedule: /") and problems[0].mend


def test_a_leap_day_is_a_day() -> None:
    leap = Timetable(start=NOON, cron="0 0 29 2 *")
    assert list(judge_timetable(leap, at=NOON)) == []
    assert next_tick(leap, after=NOON) == datetime(2028, 2, 29, tzinfo=UTC)
