"""A run with a granted network reaches nothing of the host's, and floods nobody's but its own."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hostile.arena import LIMITS, Arena
from hostile.catalogue import Attack, catalogue
from support.lacking import lacking
from support.servers import saying, serving

from sandbox.command import Outcome, Report
from sandbox.network_rules import NetworkRules
from sandbox.sandbox import Sandbox

RELAY = Path(__file__).parents[1] / "support" / "relay_with_names.py"
NETWORK_ATTACKS = [attack for attack in catalogue() if attack.target.startswith("network:")]
ROOMY = replace(LIMITS, wall_s=20, cpu_s=10, processes=200, open_files=512, memory_mb=512)


@pytest.fixture(scope="module")
async def sandbox(world: Path) -> AsyncIterator[Sandbox]:
    opened = await Sandbox.open(world / "cells-granted", grace_s=0.5, relay=RELAY)
    if not opened.launcher.has_namespaces:
        await opened.close()
        lacking(f"namespaces: {opened.missing}")
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def port(arena: Arena) -> Iterator[int]:
    """A port at which the whole host tells its secret: any address, both families."""
    with serving(saying(arena.secret), host="::") as port:
        yield port


def every_host(port: int, *, private: tuple[str, ...] = ()) -> NetworkRules:
    return NetworkRules(hosts=("*",), ports=(port,), private=private)


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            lacking("an address of its own beside loopback")
        return sock.getsockname()[0]


SPELLINGS = [
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.8.8.8", "0.0.0.0"),
    *("::1", "::ffff:127.0.0.1", "::", "localhost", "own"),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_the_host_is_reached_without_the_wall_and_not_by_a_granted_network(
    spelling: str, sandbox: Sandbox, arena: Arena, port: int, tmp_path: Path
):
    host = own_address() if spelling == "own" else spelling
    target = "granted:connect_as_told"
    assert arena.bare(target, tmp_path, host=host, port=port)["worked"]
    outcome = await attack(sandbox, arena, target, network=every_host(port), host=host, port=port)
    assert_failed(outcome)


NAMES = {
    "service.test": "127.0.0.1 is of this host itself",
    "six.test": "::1 is of this host itself",
    "mapped.test": "::ffff:7f00:1 is an IPv4 address in the form of IPv6",
    "both.test": "10.1.2.3 is of a private network",
    "metadata.test": "169.254.169.254 is link-local",
    "own.test": "",
}


@pytest.mark.parametrize("name", NAMES)
async def test_no_name_leads_to_the_host(
    name: str, sandbox: Sandbox, arena: Arena, port: int, tmp_path: Path
):
    target = "granted:connect_as_told"
    if name != "metadata.test":  # where nobody is at home; the rest works once it is allowed
        everything = every_host(port, private=("0.0.0.0/0", "::/0"))
        outcome = await attack(sandbox, arena, target, network=everything, host=name, port=port)
        assert outcome.value == {"worked": True}, (outcome.failure, outcome.traffic)
    outcome = await attack(sandbox, arena, target, network=every_host(port), host=name, port=port)
    assert_failed(outcome)
    (connection,) = outcome.traffic.first
    assert (connection.host, connection.state) == (name, "refused")
    assert NAMES[name] in connection.why


PUBLIC = "93.184.216.34"
OF_THE_HOST = 'ip link set lo up && ip addr add $0/32 dev lo && exec "$@"'


def is_of_this_host(address: str) -> bool:
    with socket.socket(socket.AF_INET) as sock:
        try:
            sock.bind((address, 0))
        except OSError:
            return False
        return True


@pytest.mark.skipif(not is_of_this_host(PUBLIC), reason="the next test brings it about")
async def test_a_public_address_of_the_hosts_own_is_refused(
    sandbox: Sandbox, arena: Arena, port: int, tmp_path: Path
):
    target, reached = "granted:connect_as_told", {"host": "public.test", "port": port}
    assert arena.bare(target, tmp_path, host=PUBLIC, port=port)["worked"]
    allowed = every_host(port, private=(PUBLIC,))
    assert (await attack(sandbox, arena, target, network=allowed, **reached)).value["worked"]
    outcome = await attack(sandbox, arena, target, network=every_host(port), **reached)
    assert_failed(outcome)
    assert outcome.traffic.first[0].why == f"{PUBLIC} is of this host itself"


def test_a_host_with_a_public_address_does_not_reach_itself_by_it():
    """The test above, in a net namespace that has such an address."""
    if os.geteuid() != 0:
        pytest.skip("only root may give a namespace such an address here")
    if not shutil.which("ip"):
        lacking("ip(8)")
    inner = [sys.executable, "-m", "pytest", "-q", "-k", "test_a_public_address_of", __file__]
    within = ["unshare", "--net", "sh", "-c", OF_THE_HOST, PUBLIC]
    done = subprocess.run([*within, *inner], capture_output=True, text=True)
    assert "1 passed" in done.stdout, done.stdout[-3000:] + done.stderr


async def test_a_name_that_turns_to_the_host_at_the_second_look_does_not_lead_there(
    sandbox: Sandbox, arena: Arena, port: int
):
    target, host = "granted:connect_twice", "turning.test"
    private = ("127.0.0.0/8", "192.0.2.0/24")
    allowed = every_host(port, private=private)
    outcome = await attack(sandbox, arena, target, network=allowed, host=host, port=port)
    assert outcome.value == {"worked": True}, outcome.traffic
    first_only = every_host(port, private=("192.0.2.0/24",))
    outcome = await attack(sandbox, arena, target, network=first_only, host=host, port=port)
    assert_failed(outcome)
    states = [connection.state for connection in outcome.traffic.first]
    assert states == ["failed", "refused", "refused"]


@pytest.mark.parametrize("spelling", ["127.0.0.1", "2130706433", "localhost", "0x7f.1", "127.0.1"])
async def test_the_resolver_makes_no_address_of_an_address(
    spelling: str, sandbox: Sandbox, arena: Arena, port: int
):
    outcome = await attack(
        sandbox,
        arena,
        "granted:connect_to_what_the_resolver_says",
        network=every_host(port),
        host=spelling,
        port=port,
    )
    assert_failed(outcome)


@pytest.mark.parametrize("one", NETWORK_ATTACKS, ids=str)
async def test_what_fails_without_a_network_fails_with_one(
    one: Attack, sandbox: Sandbox, arena: Arena
):
    """Each of them works without the wall: see test_attacks.py."""
    if str(one) == "resolve_names":
        pytest.skip("it has a resolver, which is ours")
    ports = (arena.facts["tcp_port"], arena.facts["udp_port"])
    rules = NetworkRules(hosts=("*",), ports=ports)
    outcome = await attack(sandbox, arena, one.target, network=rules)
    assert_failed(outcome)


async def test_nothing_that_is_said_to_a_relay_ends_it(sandbox: Sandbox, arena: Arena, port: int):
    rules = every_host(port, private=("127.0.0.1",))
    target = "granted:spoil_the_relay"
    outcome = await attack(sandbox, arena, target, network=rules, host="service.test", port=port)
    assert outcome.value == {"heard": True}, outcome


async def test_nobody_takes_the_resolvers_place(sandbox: Sandbox, arena: Arena):
    rules = every_host(443)
    target = "granted:take_over_the_resolver"
    assert_failed(await attack(sandbox, arena, target, network=rules, port=443))


async def test_runs_with_network_do_not_meet(sandbox: Sandbox, arena: Arena):
    rules = every_host(18_800)
    outcomes = await asyncio.gather(
        *(
            attack(sandbox, arena, f"granted:{name}", network=rules, meeting_port=28_800)
            for name in ("listen_on_tcp", "call_on_tcp")
        )
    )
    for outcome in outcomes:
        assert outcome.value == {"worked": False}, outcome


async def test_a_flood_of_names_fills_a_list_that_has_an_end(sandbox: Sandbox, arena: Arena):
    sizes: list[int] = []
    outcome = await attack(
        sandbox,
        arena,
        "granted:flood_with_names",
        network=every_host(443),
        observe=measuring(sizes),
        host="service.test",
        count=6000,
    )
    assert outcome.value == {"answered": 4095, "stays": True}, outcome
    assert max(sizes) < 48 << 20


async def test_a_flood_of_datagrams_leaves_the_resolver_up(sandbox: Sandbox, arena: Arena):
    sizes: list[int] = []
    outcome = await attack(
        sandbox,
        arena,
        "granted:flood_with_datagrams",
        network=every_host(443),
        observe=measuring(sizes),
        host="service.test",
        count=100_000,
    )
    assert outcome.value == {"answered": True}, outcome
    assert max(sizes) < 48 << 20


@pytest.mark.parametrize("keep", [0, 300])
async def test_a_flood_of_connections_is_bounded_and_counted(
    keep: int, sandbox: Sandbox, arena: Arena, port: int
):
    sizes: list[int] = []
    descriptors: list[int] = []

    def observe(report: Report) -> None:
        measuring(sizes)(report)
        descriptors.extend(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in relays())

    outcome = await attack(
        sandbox,
        arena,
        "granted:flood_with_connections",
        network=every_host(port),
        observe=observe,
        host="service.test",
        port=port,
        count=1500,
        keep=keep,
        pause_s=0.002,
    )
    assert outcome.is_ok, outcome
    assert len(outcome.traffic.first) <= 100 < outcome.traffic.connections
    assert max(descriptors) <= 64 * 2 + 24 and max(sizes) < 48 << 20


async def test_connections_that_say_nothing_take_their_own_runs_slots_only(
    sandbox: Sandbox, arena: Arena
):
    waiting: list[threading.Event] = []

    def silent(connection: socket.socket) -> None:
        waiting.append(threading.Event())
        connection.recv(1)

    with serving(silent) as port:
        rules = every_host(port, private=("127.0.0.1",))
        arguments = {"host": "service.test", "port": port, "count": 100}
        reached: list[int] = []
        hanging = attack(
            sandbox,
            arena,
            "granted:flood_with_threads",
            network=rules,
            observe=lambda _: reached.append(len(waiting)),
            **arguments,
        )
        task = asyncio.create_task(hanging)
        while not waiting:
            await asyncio.sleep(0.01)
        neighbour = await attack(
            sandbox, arena, "granted:connect_as_told", network=rules, **arguments
        )
        outcome = await task
    assert outcome.is_ok and neighbour.traffic.first[0].state == "carried"
    assert reached[0] <= 65  # those of the flood, and the neighbour's


async def test_a_gigabyte_for_a_slow_reader_is_held_by_nobody(sandbox: Sandbox, arena: Arena):
    sizes: list[int] = []
    sent: list[int] = [0]
    ahead: list[int] = []

    def pour(connection: socket.socket) -> None:
        while sent[0] < 1 << 30:
            sent[0] += connection.send(bytes(1 << 20))

    def observe(report: Report) -> None:
        measuring(sizes)(report)
        if report.data.get("line") == "asleep":
            ahead.append(sent[0])

    with serving(pour) as port:
        outcome = await attack(
            sandbox,
            arena,
            "granted:read_slowly",
            network=every_host(port, private=("127.0.0.1",)),
            observe=observe,
            host="service.test",
            port=port,
            count=1 << 30,
        )
    assert outcome.value == {"read": True}, outcome
    assert outcome.traffic.in_bytes == 1 << 30
    assert ahead[0] < 32 << 20 and max(sizes) < 48 << 20


async def attack(
    sandbox: Sandbox, arena: Arena, target: str, *, network: NetworkRules, observe=None, **facts
) -> Outcome:
    command = arena.command(target, is_warm=False, **facts)
    return await sandbox.run(
        replace(command, network=network, limits=ROOMY),
        outputs_to=arena.folder / f"outputs-{os.urandom(4).hex()}",
        observe=observe or (lambda _: None),
    )


def assert_failed(outcome: Outcome) -> None:
    assert not (outcome.is_ok and outcome.value["worked"]), outcome
    assert outcome.traffic is not None and outcome.traffic.in_bytes == 0
    assert all(one.state != "carried" for one in outcome.traffic.first), outcome.traffic


def measuring(sizes: list[int]):
    """Return an observe that notes how much memory the relays have had at most (VmHWM)."""

    def observe(_: Report) -> None:
        for pid in relays():
            status = Path(f"/proc/{pid}/status").read_text()
            peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
            sizes.append(int(peak.split()[1]) << 10)

    return observe


def relays() -> list[int]:
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [int(pid) for path in children for pid in path.read_text().split()]
    return [pid for pid in pids if str(RELAY) in Path(f"/proc/{pid}/cmdline").read_text()]
