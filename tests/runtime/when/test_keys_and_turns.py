"""Which of the waiting jobs runs: keys, rates, priorities, pauses, uniqueness, expiry."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, select

from runtime.faults.errors import StateConflict
from runtime.jobs import pausing
from runtime.store.databases.store import Store
from runtime.store.jobs import claims
from runtime.store.jobs import jobs as job_store
from runtime.store.schema import tables
from runtime.store.when import pauses
from runtime.values.ids import new_id
from runtime.values.records import Activation, Claim, Finish, Job, JobError, RequestContext
from runtime.values.states import State
from runtime.values.when.keys import KeyRule, keyed, rule_for
from runtime.values.when.line import HIGHEST, LOWEST, Ability, turn_after
from runtime.values.when.schedules import Pause

from ..conftest import NOON, activate, fresh_store, job_on, version_of, worker_named

HERE = Ability(platform="x86_64-linux-gnu")
LOST = JobError(code="worker-lost", what="gone", mend="none", kind="appliance")


async def submit(store: Store, job: Job, **given: object) -> Job:
    return await store.run(job_store.submit, job=job, queue_limit=100_000, **given)


async def take(store: Store, *, after_s: float = 0) -> Claim | None:
    return await store.run(
        claims.claim_next,
        ability=HERE,
        token=new_id(),
        worker=worker_named("w"),
        at=NOON + timedelta(seconds=after_s),
    )


async def end(store: Store, claim: Claim, *, after_s: float = 0) -> None:
    await store.run(
        claims.finish,
        job_id=claim.job.id,
        token=claim.job.token or "",
        finish=Finish(state=State.SUCCEEDED),
        at=NOON + timedelta(seconds=after_s),
    )


def with_key(activation: Activation, key: str, most: int) -> Job:
    return replace(job_on(activation), slot_key=key, slot_most=most)


async def test_so_many_with_one_key_run_and_the_others_go_past_them(
    store: Store, activation: Activation
) -> None:
    mine = [await submit(store, with_key(activation, "k", 2)) for _ in range(5)]
    other = await submit(store, job_on(activation))
    first, second, third = [await take(store) for _ in range(3)]
    assert first and second and third
    assert {first.job.id, second.job.id} == {mine[0].id, mine[1].id}
    assert third.job.id == other.id
    assert await take(store) is None
    for following in mine[2:]:
        await end(store, first)
        claimed = await take(store)
        assert claimed is not None and claimed.job.id == following.id
        assert await take(store) is None
        first = claimed


@pytest.mark.parametrize("how", ["cancelled", "given back", "expired"])
async def test_a_slot_of_a_key_is_never_lost(
    how: str, store: Store, activation: Activation
) -> None:
    first = await submit(
        store, replace(with_key(activation, "k", 1), expires_at=NOON + timedelta(seconds=5))
    )
    second = await submit(store, with_key(activation, "k", 1))
    match how:
        case "cancelled":
            await store.run(job_store.cancel, job_id=first.id, at=NOON)
        case "expired":
            assert (claim := await take(store, after_s=6)) and claim.job.id == second.id
            return
        case _:
            claim = await take(store)
            assert claim is not None
            await store.run(
                claims.give_back,
                job_id=first.id,
                token=claim.job.token or "",
                error=LOST,
                at=NOON,
                most_attempts=3,
            )
    claim = await take(store)
    assert claim is not None and claim.job.id == second.id


async def test_a_rate_spreads_the_starts_of_one_key_evenly(
    store: Store, activation: Activation
) -> None:
    jobs = [
        await submit(store, replace(job_on(activation), rate_key="r", rate_between_s=6.0))
        for _ in range(4)
    ]
    starts: list[float] = []
    for tenth in range(0, 300, 5):
        while claim := await take(store, after_s=tenth / 10):
            assert claim.job.id == jobs[len(starts)].id
            starts.append(tenth / 10)
    assert starts == [0.0, 6.0, 12.0, 18.0]


async def test_a_cancelled_job_of_a_rate_lets_the_next_one_follow(
    store: Store, activation: Activation
) -> None:
    first, second = [
        await submit(store, replace(job_on(activation), rate_key="r", rate_between_s=60.0))
        for _ in range(2)
    ]
    await store.run(job_store.cancel, job_id=first.id, at=NOON)
    claim = await take(store)
    assert claim is not None and claim.job.id == second.id


async def test_a_higher_priority_goes_before_what_came_earlier(
    store: Store, activation: Activation
) -> None:
    low = [
        await submit(store, replace(job_on(activation), request=RequestContext(principal=f"p{n}")))
        for n in range(20)
    ]
    high = await submit(store, replace(job_on(activation), priority=2))
    taken = [one.job.id for _ in range(2) if (one := await take(store))]
    assert taken == [high.id, low[0].id]


@given(priorities=st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=4))
def test_nothing_waits_for_ever_whatever_comes_with_a_higher_priority(
    priorities: list[int],
) -> None:
    """However many lines there are, and however soon after the last one the next job comes."""
    waits = turn_after(now=None, last_of_line=None, priority=LOWEST)
    passed = 0
    coming = [turn_after(now=None, last_of_line=None, priority=one) for one in priorities]
    while (claimed := min(coming)) < waits:
        passed += 1
        at = coming.index(claimed)
        coming[at] = turn_after(now=claimed, last_of_line=None, priority=priorities[at])
    assert passed <= len(priorities) * 4 ** (HIGHEST - LOWEST)


async def test_a_low_one_comes_to_its_turn_while_others_keep_coming(
    store: Store, activation: Activation
) -> None:
    low = await submit(store, replace(job_on(activation), priority=-2))
    for number in range(100):
        await submit(store, replace(job_on(activation), priority=1))
        claim = await take(store, after_s=number)
        assert claim is not None
        await end(store, claim, after_s=number)
        if claim.job.id == low.id:
            assert number > 10
            return
    raise AssertionError("it waits for ever")


def pause_of(subject: str, **given: datetime) -> Pause:
    return Pause(subject=subject, who="ana", reason="the mill is down", at=NOON, **given)


async def test_a_paused_package_waits_in_its_order_and_others_go_on(
    store: Store, activation: Activation
) -> None:
    other = await activate(store, version_of("other", digest="sha256:" + "2" * 64))
    before = [await submit(store, job_on(activation)) for _ in range(3)]
    wanted = pause_of("package:hello")
    await store.run(pausing.pause, wanted=wanted, origin={})
    after = [await submit(store, job_on(activation)) for _ in range(2)]
    theirs = await submit(store, job_on(other))
    claim = await take(store)
    assert claim is not None and claim.job.id == theirs.id
    assert await take(store) is None
    await store.run(pausing.resume, subject="package:hello", who="ana", at=NOON, origin={})
    order = [claim.job.id for _ in range(5) if (claim := await take(store))]
    assert order == [job.id for job in before + after]


async def test_while_all_is_paused_nothing_begins_until_the_time_that_was_said(
    store: Store, activation: Activation
) -> None:
    await submit(store, job_on(activation))
    until = NOON + timedelta(seconds=10)
    await store.run(pausing.pause, wanted=pause_of("all", until=until), origin={})
    assert await take(store, after_s=9) is None
    assert await take(store, after_s=10) is not None


async def test_a_thousand_that_are_held_cost_a_claim_no_more(
    store: Store, activation: Activation
) -> None:
    for _ in range(200):
        await submit(store, with_key(activation, "full", 1))
    first = await take(store)
    assert first is not None
    others = [await submit(store, job_on(activation)) for _ in range(2)]
    counted: list[str] = []

    def count(_: Connection, __: object, statement: str, *___: object) -> None:
        counted.append(statement)

    def claim(connection: Connection) -> str:
        event.listen(connection.engine, "before_cursor_execute", count)
        try:
            found = claims.claim_next(
                connection, ability=HERE, token=new_id(), worker=worker_named("w"), at=NOON
            )
        finally:
            event.remove(connection.engine, "before_cursor_execute", count)
        assert found is not None
        return found.job.id

    assert await store.run(claim) == others[0].id
    assert len(counted) < 12, counted


async def test_one_of_a_unique_key_is_there_at_a_time(store: Store, activation: Activation) -> None:
    def unique() -> Job:
        return replace(job_on(activation), unique_key="report")

    first = await submit(store, unique())
    assert (await submit(store, unique())).id == first.id
    theirs = replace(unique(), request=RequestContext(principal="token:ana"))
    assert (await submit(store, theirs)).id == theirs.id
    newest = await submit(store, unique(), keep="newest")
    assert newest.id not in {first.id, theirs.id}
    assert (await store.read(job_store.get, job_id=first.id)).state is State.CANCELLED
    for _ in range(2):
        claim = await take(store)
        assert claim is not None
    assert (await submit(store, unique())).id == newest.id  # it runs
    again = await submit(store, unique(), keep="newest")
    assert again.id != newest.id
    assert (await store.read(job_store.get, job_id=newest.id)).state is State.RUNNING


async def test_a_job_that_is_too_late_never_begins_and_says_so(
    store: Store, activation: Activation
) -> None:
    late = await submit(store, replace(job_on(activation), expires_at=NOON + timedelta(seconds=5)))
    assert await take(store, after_s=5) is None
    job = await store.read(job_store.get, job_id=late.id)
    assert job.state is State.CANCELLED
    assert job.error is not None and job.error.code == "expired"


@pytest.mark.parametrize(
    ("rule", "parameters", "key"),
    [
        (KeyRule(key="package", most=1), {}, "hello"),
        (KeyRule(key="principal", most=1), {}, "hello principal=ana"),
        (KeyRule(key="principal", most=1, package="*"), {}, "* principal=ana"),
        (KeyRule(key="parameters.n", most=1), {"n": [1, "a"]}, 'hello parameters.n=[1, "a"]'),
        (KeyRule(key="parameters.n", most=1), {}, "hello parameters.n=null"),
    ],
)
def test_a_rule_gives_each_job_its_key(rule: KeyRule, parameters: dict, key: str) -> None:
    found = keyed(rule, package="hello", principal="ana", parameters=parameters)
    assert found is not None and found.key == key


def test_an_admins_rule_goes_before_the_manifests() -> None:
    own, admins = KeyRule(key="package", most=9), KeyRule(key="principal", most=1, package="he*")
    assert rule_for("hello", of_manifest=own, of_admin=(admins,)) is admins
    assert rule_for("other", of_manifest=own, of_admin=(admins,)) is own


ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["submit", "take", "end", "give back", "cancel", "pause", "resume", "late"]
        ),
        st.integers(0, 3),
    ),
    max_size=40,
)


@settings(max_examples=25, deadline=None)
@example(acts=[("submit", 2), ("submit", 2), ("pause", 0), ("cancel", 0)])
@given(acts=ACTS)
def test_whatever_happens_no_key_has_too_many_and_nothing_waits_for_nothing(
    acts: list[tuple[str, int]],
) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), acts))


async def play(folder: Path, acts: list[tuple[str, int]]) -> None:
    async with fresh_store(folder) as store:
        activation = await activate(store, version_of())
        held: list[Claim] = []
        jobs: list[str] = []
        for number, (act, which) in enumerate(acts):
            at = float(number)
            match act:
                case "submit":
                    job = job_on(activation)
                    key = {"slot_key": f"k{which}", "slot_most": 1 + which % 2} if which else {}
                    rate = {"rate_key": "r", "rate_between_s": 3.0} if which == 3 else {}
                    jobs.append(
                        (await submit(store, replace(job, priority=which - 1, **key, **rate))).id
                    )
                case "take":
                    if claim := await take(store, after_s=at):
                        held.append(claim)
                case "end" if held:
                    await end(store, held.pop(which % len(held)), after_s=at)
                case "give back" if held:
                    claim = held.pop(which % len(held))
                    await store.run(
                        claims.give_back,
                        job_id=claim.job.id,
                        token=claim.job.token or "",
                        error=LOST,
                        at=NOON + timedelta(seconds=at),
                        most_attempts=3,
                    )
                case "cancel" if jobs:
                    job_id = jobs[which % len(jobs)]
                    if job_id not in {claim.job.id for claim in held}:
                        try:
                            await store.run(job_store.cancel, job_id=job_id, at=NOON)
                        except StateConflict:
                            continue
                case "pause":
                    await store.run(pauses.put, pause=pause_of("package:hello"))
                case "resume":
                    await store.run(pauses.remove, subject="package:hello", at=NOON)
                case _:
                    continue
            await store.read(check_keys)
        await store.run(pauses.remove, subject="package:hello", at=NOON)
        for claim in held:
            await end(store, claim, after_s=50)
        await drain(store, since_s=100)


def check_keys(connection: Connection) -> None:
    rows = connection.execute(
        select(tables.jobs.c.slot_key, tables.jobs.c.slot_most).where(
            tables.jobs.c.state == State.RUNNING, tables.jobs.c.slot_key.is_not(None)
        )
    ).all()
    for key, most in rows:
        assert sum(1 for row in rows if row.slot_key == key) <= most


async def drain(store: Store, *, since_s: float) -> None:
    """Run all that is left: with nobody running, each look finds a job or there is none."""
    for step in range(200):
        at = since_s + 5 * step
        if claim := await take(store, after_s=at):
            await end(store, claim, after_s=at)
        elif not (left := await store.read(queued)):
            return
        else:
            assert all(one.due_at > NOON + timedelta(seconds=at) for one in left if not one.held_by)
    raise AssertionError("jobs wait that nobody lets go")


def queued(connection: Connection) -> list[Job]:
    ids = connection.execute(select(tables.jobs.c.id).where(tables.jobs.c.state == State.QUEUED))
    return [job_store.get(connection, job_id=job_id) for job_id in ids.scalars()]
