"""Every attack works without the wall, and fails inside it: cold and warm, at each level."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from hostile.arena import Arena
from hostile.catalogue import Attack, catalogue

from sandbox.command import Ending, Outcome, Report
from sandbox.doctor.known_gaps import GAPS
from sandbox.sandbox import Sandbox

ATTACKS = catalogue()
LEVELS = pytest.mark.parametrize("level", ["namespaced", "unprivileged"])
STARTS = pytest.mark.parametrize("start", ["cold", "warm"])


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.proof != "needs no proof"], ids=str)
def test_the_attack_works_without_the_wall(attack: Attack, arena: Arena, tmp_path: Path):
    if attack.proof == "root" and os.geteuid() != 0:
        pytest.skip("only root could do this even without a wall")
    said = arena.bare(attack.target, tmp_path)
    if attack.proof == "where the kernel has it" and not said["worked"]:
        pytest.skip(f"this kernel does not offer it to anybody: {said.get('why', said)}")
    assert said["worked"], said


def test_the_kernel_itself_refuses_an_address_with_a_stream_of_a_pair(arena: Arena, tmp_path: Path):
    """Which no filter could, since sendmsg(2) has the address in memory."""
    said = arena.bare("shared:stream_of_a_pair_to_host_socket", tmp_path)
    assert said == {"worked": False}


@LEVELS
@STARTS
@pytest.mark.parametrize("attack", ATTACKS, ids=str)
async def test_the_attack_fails_in_a_cell(
    attack: Attack,
    level: str,
    start: str,
    sandbox: Sandbox,
    arena: Arena,
    tmp_path: Path,
):
    reports: list[Report] = []
    outcome = await sandbox.run(
        arena.command(attack.target, is_warm=start == "warm"),
        outputs_to=tmp_path / "outputs",
        observe=reports.append,
    )

    if is_known_gap(attack, level, outcome):
        pytest.xfail(GAPS[str(attack)])
    assert outcome.isolation.start == start, outcome.isolation.start_reason
    assert_contained(attack, outcome)
    assert_nothing_left(arena)
    arena.assert_unharmed()
    await assert_neighbours_run(sandbox, arena, tmp_path)


@LEVELS
@STARTS
async def test_a_run_finds_nothing_of_the_one_before(
    level: str, start: str, sandbox: Sandbox, arena: Arena, tmp_path: Path
):
    outcome = await sandbox.run(
        arena.command("traces:leave", is_warm=start == "warm"),
        outputs_to=tmp_path / "outputs",
        observe=lambda _: None,
    )
    assert outcome.is_ok or level == "unprivileged", outcome  # which refuses the socket
    await assert_neighbours_run(sandbox, arena, tmp_path)


@LEVELS
@STARTS
async def test_runs_beside_each_other_do_not_meet(
    level: str, start: str, sandbox: Sandbox, arena: Arena, tmp_path: Path
):
    outcomes = await asyncio.gather(
        *(
            sandbox.run(
                arena.command(f"network:{name}", is_warm=start == "warm"),
                outputs_to=tmp_path / name,
                observe=lambda _: None,
            )
            for name in ("listen_for_neighbours", "call_neighbour")
        )
    )
    for outcome in outcomes:
        assert outcome.value == {"worked": False} or level == "unprivileged", outcome
        assert not (outcome.is_ok and outcome.value["worked"])


def is_known_gap(attack: Attack, level: str, outcome: Outcome) -> bool:
    """A gap is listed in the docs and in doctor; one that closed must leave the list."""
    if level != "unprivileged" or str(attack) not in GAPS:
        return False
    assert isinstance(outcome.value, dict) and outcome.value["worked"], "the gap is closed: unlist"
    return True


def assert_contained(attack: Attack, outcome: Outcome):
    value = outcome.value
    if attack.may_be_refused and outcome.failure and not outcome.failure.limit:
        assert "FileNotFoundError" in outcome.failure.what or "Permission" in outcome.failure.what
    elif attack.limits:
        assert outcome.failure is not None, outcome
        assert outcome.failure.limit in attack.limits, outcome.failure
        assert outcome.failure.limit in outcome.failure.what
        assert outcome.failure.reached is not None
    elif attack.endings:
        assert outcome.ending in attack.endings, outcome
    elif attack.collected is not None:
        assert {output.path for output in outcome.outputs} <= attack.collected, outcome.outputs
        assert "secret-" not in str(outcome.outputs)
    else:
        assert not (outcome.is_ok and isinstance(value, dict) and value["worked"]), outcome


def assert_nothing_left(arena: Arena):
    deadline = time.monotonic() + 1
    while arena.survivors() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert arena.survivors() == []


async def assert_neighbours_run(sandbox: Sandbox, arena: Arena, tmp_path: Path):
    outcome = await sandbox.run(
        arena.command("traces:find", is_warm=True),
        outputs_to=tmp_path / "neighbour",
        observe=lambda _: None,
    )
    assert outcome.ending is Ending.RETURNED, outcome
    assert outcome.value == []
