"""Lists of jobs by any combination of conditions: right, along an index, and never without end."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from runtime.store.databases.store import Store
from runtime.store.jobs import jobs as job_store
from runtime.store.lists import filtered
from runtime.values.access import Sight
from runtime.values.ids import first_id_at, new_id
from runtime.values.job_filter import (
    ANY_JOB,
    JobFilter,
    Way,
    filter_from,
    filter_to,
    judge_filter,
    laid_over,
    way_of,
)
from runtime.values.labels import judge_labels
from runtime.values.records import Activation, Job, JobError, RequestContext
from runtime.values.states import State

from ...conftest import NOON, activate, fresh_store, job_on, version_of

CODES = ("package-raised", "over-limit")
STATES = (State.QUEUED, State.FAILED, State.CANCELLED)


async def put(store: Store, job: Job, *, code: str | None = None, worker: str = "w") -> Job:
    """Store a job as it is, whatever its state: what a list sees is what lies there."""

    def as_it_is(connection: Connection) -> None:
        job_store.submit(connection, job=replace(job, state=State.QUEUED), queue_limit=10_000)
        error = code and JobError(code=code, what=f"it was {code}", mend="", kind="package")
        values: dict[str, Any] = {"state": job.state, "worker": worker}
        if error:
            values["error"] = {
                "code": error.code,
                "what": error.what,
                "mend": "",
                "kind": "package",
            }
        job_store.job_changes.change_job(connection, job_id=job.id, values=values)

    await store.run(as_it_is)
    return job


def ids(found: Sequence[Job]) -> list[str]:
    return [job.id for job in found]


async def every(store: Store, **asked: Any) -> list[Job]:
    """Return all pages of a list, one after the other."""
    found: list[Job] = []
    cursor: str | None = None
    while True:
        page = await store.read(filtered.page, limit=3, cursor=cursor, **asked)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


MADE = st.fixed_dictionaries(
    {
        "state": st.sampled_from(STATES),
        "owner": st.sampled_from(["token:ana", "token:bob"]),
        "worker": st.sampled_from(["w1", "w2"]),
        "code": st.sampled_from([None, *CODES]),
        "labels": st.dictionaries(
            st.sampled_from(["a", "b"]), st.sampled_from(["one", "two"]), max_size=2
        ),
    }
)
ASKED = st.builds(
    JobFilter,
    state=st.none() | st.sampled_from(STATES),
    package=st.none() | st.sampled_from(["hello", "other"]),
    version=st.none() | st.just("1.0"),
    principal=st.none() | st.sampled_from(["token:ana", "token:bob"]),
    worker=st.none() | st.sampled_from(["w1", "w2"]),
    error=st.none() | st.sampled_from(CODES),
    labels=st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.none() | st.sampled_from(["one", "two"])),
        max_size=2,
    ).map(tuple),
    text=st.none() | st.sampled_from(["over", "TWO", "nowhere", "%"]),
)


def is_meant(job: dict[str, Any], wanted: JobFilter) -> bool:
    """Return whether a job meets the filter, as the words say it."""
    labels: dict[str, str] = job["labels"]
    said = [job["code"] or "", f"it was {job['code']}" if job["code"] else "", *labels]
    said += [*labels.values(), job["id"]]
    return (
        wanted.state in {None, job["state"]}
        and wanted.package in {None, "hello"}
        and wanted.principal in {None, job["owner"]}
        and wanted.worker in {None, job["worker"]}
        and wanted.error in {None, job["code"]}
        and all(name in labels and value in {None, labels[name]} for name, value in wanted.labels)
        and (wanted.text is None or any(wanted.text.lower() in one.lower() for one in said))
    )


@settings(max_examples=25, deadline=None)
@given(made=st.lists(MADE, min_size=1, max_size=7), asked=st.lists(ASKED, min_size=1, max_size=6))
async def test_a_list_holds_what_meets_every_condition_and_nothing_else(
    new_database: Callable[[], str], made: list[dict[str, Any]], asked: list[JobFilter]
) -> None:
    with TemporaryDirectory() as folder:
        async with fresh_store(Path(folder), url=new_database()) as store:
            activation = await activate(store, version_of())
            for one in made:
                job = replace(
                    job_on(activation),
                    state=one["state"],
                    labels=one["labels"],
                    request=RequestContext(principal=one["owner"]),
                )
                one["id"] = job.id
                await put(store, job, code=one["code"], worker=one["worker"])
            for wanted in asked:
                found = ids(await every(store, wanted=wanted))
                assert found == [one["id"] for one in reversed(made) if is_meant(one, wanted)]


PLANS = {
    Way.BATCH: JobFilter(batch="b", state=State.FAILED),
    Way.LABEL: JobFilter(labels=(("a", "one"),), package="hello"),
    Way.ERROR: JobFilter(error="x", worker="w"),
    Way.VERSION: JobFilter(package="hello", version="1.0"),
    Way.PACKAGE_STATE: JobFilter(package="hello", state=State.FAILED),
    Way.PRINCIPAL_STATE: JobFilter(principal="token:ana", state=State.FAILED),
    Way.WORKER: JobFilter(worker="w"),
    Way.PACKAGE: JobFilter(package="hello", text="x"),
    Way.PRINCIPAL: JobFilter(principal="token:ana"),
    Way.STATE: JobFilter(state=State.FAILED),
    Way.ALL: JobFilter(since=NOON, text="x"),
}


@pytest.mark.parametrize("way", Way, ids=lambda way: way.value)
async def test_each_way_is_read_along_an_index_in_order(in_sqlite: Store, way: Way) -> None:
    wanted = PLANS[way]
    assert way_of(wanted) is way
    looked_at, _ = filtered.search(cursor=new_id(), wanted=wanted, sight=Sight())

    def plan(connection: Connection) -> str:
        text = str(looked_at.limit(10).compile(connection, compile_kwargs={"literal_binds": True}))
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")
        return "\n".join(row[3] for row in rows)

    told = await in_sqlite.read(plan)
    assert told.count("SEARCH") == 1 and "USING COVERING INDEX" in told, told
    assert "SCAN" not in told and "TEMP B-TREE" not in told, told


async def test_a_search_that_finds_little_ends_and_says_where_it_goes_on(
    store: Store, activation: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = await put(store, replace(job_on(activation), labels={"customer": "acme"}))
    for _ in range(25):
        await put(store, job_on(activation))
    monkeypatch.setattr(filtered, "MOST_LOOKED_AT", 10)
    wanted = JobFilter(text="acme")
    first = await store.read(filtered.page, limit=5, wanted=wanted)
    assert first.items == () and first.next_cursor
    assert ids(await every(store, wanted=wanted)) == [rare.id]


async def test_pages_stay_right_while_jobs_arrive(store: Store, activation: Activation) -> None:
    there = [await put(store, job_on(activation)) for _ in range(7)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await store.read(filtered.page, limit=2, cursor=cursor, wanted=ANY_JOB)
        seen += ids(page.items)
        await put(store, job_on(activation))
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ids(there)[::-1]


async def test_a_client_finds_its_own_jobs_whatever_it_asks_for(
    store: Store, activation: Activation
) -> None:
    ana = RequestContext(principal="token:ana")
    hers = await put(store, replace(job_on(activation), request=ana, labels={"a": "one"}))
    await put(store, replace(job_on(activation), labels={"a": "one"}))
    sight = Sight(owner="token:ana")
    for wanted in (ANY_JOB, JobFilter(labels=(("a", "one"),)), JobFilter(text="one")):
        assert ids(await every(store, wanted=wanted, sight=sight)) == [hers.id]
    others = JobFilter(principal="anonymous")
    assert await every(store, wanted=others, sight=sight) == []


async def test_a_span_of_time_is_the_time_of_submission(
    store: Store, activation: Activation
) -> None:
    def at(hours: int) -> Job:
        when = NOON + timedelta(hours=hours)
        job_id = first_id_at(when)[:-1] + str(hours)
        return replace(job_on(activation), id=job_id, submitted_at=when + timedelta(minutes=5))

    made = [await put(store, at(hours)) for hours in (0, 1, 2, 3)]
    wanted = JobFilter(
        since=NOON + timedelta(hours=1, minutes=5), until=NOON + timedelta(hours=3, minutes=5)
    )
    assert ids(await every(store, wanted=wanted)) == [made[2].id, made[1].id]


async def test_the_code_of_an_error_goes_when_the_job_is_tried_again(
    store: Store, activation: Activation
) -> None:
    failed = replace(job_on(activation), state=State.FAILED)
    await put(store, failed, code="over-limit")
    wanted = JobFilter(error="over-limit")
    assert ids(await every(store, wanted=wanted)) == [failed.id]
    await store.run(job_store.retry, job_id=failed.id, at=NOON, queue_limit=10)
    assert await every(store, wanted=wanted) == []


@given(ASKED)
def test_a_filter_is_the_same_after_it_was_written_down(wanted: JobFilter) -> None:
    assert filter_from(filter_to(wanted)) == wanted
    assert laid_over(wanted, ANY_JOB) == wanted == laid_over(ANY_JOB, wanted)


def test_what_no_job_can_meet_is_refused_all_at_once() -> None:
    wanted = JobFilter(since=NOON, until=NOON, text="x" * 201, labels=(("No Name", None),))
    assert [one.code for one in judge_filter(wanted)] == [
        "empty-span",
        "text-too-long",
        "label-name",
    ]


def test_labels_are_judged_all_at_once() -> None:
    bad = {"Upper": "x", "ok": "line\nbreak", "fine": "x" * 256}
    assert [one.code for one in judge_labels(bad)] == ["label-name", "label-value", "label-value"]
    assert judge_labels({f"n{i}": "" for i in range(33)})[0].code == "too-many-labels"
    assert judge_labels({"customer": "Ünïcode ok", "a.b-c_d": ""}) == ()


async def test_who_sees_its_own_only_is_not_led_past_everybodys(
    store: Store, activation: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = RequestContext(principal="token:ana")
    hers = await put(store, replace(job_on(activation), request=ana))
    for _ in range(25):
        await put(store, job_on(activation))
    monkeypatch.setattr(filtered, "MOST_LOOKED_AT", 10)
    first = await store.read(filtered.page, limit=5, sight=Sight(owner="token:ana"))
    assert ids(first.items) == [hers.id]
