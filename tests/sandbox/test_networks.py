"""What a run with a granted network can do, and what is told of it: a tutorial that runs."""

import asyncio
import http.server
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.lacking import lacking
from support.servers import echo, saying, serving
from support.tls import make_authority

from sandbox.command import Ending, Folder, Level, Outcome
from sandbox.doctor import examination
from sandbox.errors import NetworkUnwallableError, RelayLostError
from sandbox.isolation import this_interpreter
from sandbox.network_rules import NetworkRules
from sandbox.sandbox import Sandbox

RELAY = Path(__file__).parents[1] / "support" / "relay_with_names.py"
LOOPBACK = ("127.0.0.1", "::1")


@pytest.fixture(scope="module")
async def sandbox(world: Path) -> AsyncIterator[Sandbox]:
    """A sandbox whose relays find names in a table."""
    opened = await Sandbox.open(world / "cells-with-network", grace_s=0.5, relay=RELAY)
    if not opened.launcher.has_namespaces:
        await opened.close()
        lacking(f"namespaces: {opened.missing}")
    yield opened
    await opened.close()


def to(*hosts: str, port: int, **more) -> NetworkRules:
    return NetworkRules(hosts=hosts, ports=(port,), **{"private": LOOPBACK, **more})


@pytest.fixture
def port() -> Iterator[int]:
    with serving(saying("hello")) as port:
        yield port


SAY_WHAT_COMES = """
import socket
def extract(*, job, **_):
    heard = []
    for host in job.hosts:
        try:
            with socket.create_connection((host, job.port), timeout=5) as connection:
                heard.append(connection.recv(100).decode())
        except OSError as fault:
            heard.append(type(fault).__name__)
    return heard
"""


async def test_a_run_reaches_the_hosts_on_the_list_and_no_other(lab, port):
    hosts = ["service.test", "other.test", "unknown.test"]
    rules = to("service.test", "unknown.test", port=port)
    outcome = await lab.run(
        lab.command(SAY_WHAT_COMES, facts={"hosts": hosts, "port": port}, network=rules)
    )
    assert outcome.value == ["hello", "ConnectionResetError", "ConnectionResetError"]
    ended = {one.host: one for one in outcome.traffic.first}  # in whatever order they did
    first, second, third = (ended[host] for host in hosts)
    assert (first.host, first.port, first.state, first.in_bytes) == (
        *("service.test", port),
        *("carried", 5),
    )
    assert (second.state, second.why) == ("refused", "other.test is not on the list of hosts")
    assert (third.state, third.why) == (
        *("failed", "unknown.test cannot be found: unknown.test is not in the table"),
    )
    totals = outcome.traffic
    assert (totals.connections, totals.refused, totals.failed, totals.in_bytes) == (3, 1, 1, 5)


async def test_a_run_that_failed_is_told_what_it_was_refused(lab, port):
    code = """
    import socket
    def extract(*, job, **_):
        socket.create_connection(("other.test", job.port), timeout=5).recv(1)
    """
    command = lab.command(code, facts={"port": port}, network=to("service.test", port=port))
    failure = (await lab.run(command)).failure
    assert "ConnectionResetError" in failure.what
    assert failure.mend.endswith(
        f"the run wanted other.test:{port} and was refused: other.test is not on the list of hosts"
    )


async def test_each_connection_is_reported_when_it_is_over(lab, port):
    command = lab.command(
        SAY_WHAT_COMES,
        facts={"hosts": ["service.test"], "port": port},
        network=to("*.test", port=port),
    )
    await lab.run(command)
    assert lab.said("network") == [
        {
            "host": "service.test",
            "port": port,
            "state": "carried",
            "why": "",
            "address": "127.0.0.1",
            "in_bytes": 5,
            "out_bytes": 0,
        }
    ]


async def test_a_port_that_is_not_on_the_list_has_no_listener(lab, port):
    command = lab.command(
        SAY_WHAT_COMES, facts={"hosts": ["service.test"], "port": port}, network=to("*", port=9)
    )
    assert (await lab.run(command)).value == ["ConnectionRefusedError"]


async def test_the_artifact_is_told_which_network_it_was(lab, port):
    command = lab.command(
        SAY_WHAT_COMES, facts={"hosts": [], "port": port}, network=to("a.test", port=port)
    )
    outcome = await lab.run(command)
    (layer,) = [layer for layer in outcome.isolation.layers if "network" in layer.name]
    assert (layer.name, layer.in_force) == ("network", True)
    assert layer.detail == (
        f"proxy: hosts a.test; ports {port}; not public, allowed: 127.0.0.1, ::1"
    )
    assert "net" in outcome.isolation.layers[0].detail.split()


async def test_a_run_without_network_has_no_traffic(lab):
    outcome = await lab.run(lab.command("def extract(*, job, **_): return 1"))
    assert outcome.traffic is None


async def test_a_run_with_network_starts_cold_and_says_why(lab, warm, port):
    command = warm(lab.command(SAY_WHAT_COMES, facts={"hosts": [], "port": port}))
    outcome = await lab.run(replace(command, network=to("*", port=port)))
    assert outcome.isolation.start == "cold"
    assert outcome.isolation.start_reason == (
        "a run with network has a namespace and a relay that are made for it alone"
    )


async def test_both_sides_may_end_in_their_own_time(lab):
    code = """
    import socket
    def extract(*, job, **_):
        with socket.create_connection(("service.test", job.port), timeout=5) as connection:
            connection.sendall(b"x" * 300_000)
            connection.shutdown(socket.SHUT_WR)
            total = 0
            while chunk := connection.recv(65536):
                total += len(chunk)
            return total
    """
    with serving(echo) as port:
        outcome = await lab.run(lab.command(code, facts={"port": port}, network=to("*", port=port)))
    assert outcome.value == 300_000
    assert (outcome.traffic.in_bytes, outcome.traffic.out_bytes) == (300_000, 300_000)


async def test_an_address_of_ipv6_is_reached_where_only_that_is_there(lab):
    with serving(saying("six"), host="::1") as port:
        command = lab.command(
            SAY_WHAT_COMES, facts={"hosts": ["six.test"], "port": port}, network=to("*", port=port)
        )
        assert (await lab.run(command)).value == ["six"]


async def test_https_works_as_it_does_anywhere(lab, world):
    """With a certificate of an authority that the admin's bundle names."""
    authority = make_authority(world / "authority", names=("service.test",))
    server = http.server.HTTPServer(("127.0.0.1", 0), _Page)
    server.socket = authority.server.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = """
    import urllib.request
    def extract(*, job, **_):
        return urllib.request.urlopen(job.url, timeout=5).read().decode()
    """
    port = server.server_port
    command = lab.command(code, facts={"url": f"https://service.test:{port}/"})
    rules = to("service.test", port=port)
    trusting = replace(rules, ca_bundle=str(authority.ca))
    outcome = await lab.run(replace(command, network=trusting))
    distrusting = await lab.run(replace(command, network=rules))
    server.shutdown()
    server.server_close()
    assert outcome.value == "a page", outcome.failure
    assert "CERTIFICATE_VERIFY_FAILED" in distrusting.failure.what


HAS_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt").exists()


@pytest.mark.skipif(not HAS_CERTIFICATES, reason="this host has no bundle of certificates")
async def test_the_hosts_certificates_are_in_sight(lab, port):
    code = """
    import ssl
    def extract(*, job, **_):
        return len(ssl.create_default_context().get_ca_certs())
    """
    assert (await lab.run(lab.command(code, network=to("*", port=port)))).value > 10


async def test_a_run_carries_no_more_than_it_may(lab):
    code = """
    import socket
    def extract(*, job, **_):
        total = 0
        try:
            with socket.create_connection(("service.test", job.port), timeout=5) as connection:
                while chunk := connection.recv(65536):
                    total += len(chunk)
        except OSError as fault:
            return [total <= 1 << 20, type(fault).__name__]
    """

    def endless(connection):
        while True:
            connection.sendall(bytes(65_536))

    with serving(endless) as port:
        outcome = await lab.run(
            lab.command(code, facts={"port": port}, network=to("*", port=port, most_mb=1))
        )
    assert outcome.value == [True, "ConnectionResetError"]
    assert outcome.traffic.first[0].why == "the run has carried its 1 MiB"


async def test_without_namespaces_a_granted_network_is_refused_and_never_the_hosts(lab, world):
    plain = await Sandbox.open(world / "cells-without", without_namespaces=True)
    try:
        code = "def extract(*, job, **_): return 1"
        command = lab.command(code, network=to("*", port=443), least=Level.PROCESS)
        with pytest.raises(NetworkUnwallableError) as refused:
            await plain.run(command, outputs_to=lab.outputs, observe=lambda _: None)
    finally:
        await plain.close()
    assert refused.value.code == "network-unwallable"
    assert "cannot give it one of its own" in refused.value.what
    assert "bubblewrap" in refused.value.mend


@pytest.mark.parametrize(("private", "got"), [((), ""), (("127.0.0.1",), "198.18.0.1")])
async def test_what_doctor_tries_comes_through_where_a_rule_lets_it(lab, port, private, got):
    probes = Path(examination.__file__).with_name("probes")
    command = lab.command(
        "",
        target="probe:reach_host_by_grant",
        folders=(Folder(name="bundle", source=probes, on_path=True),),
        facts={"port": port, "abstract_name": "nobody"},
        network=to("*", port=port, private=private),
    )
    assert (await lab.run(command)).value == {"got": got}


async def test_doctor_says_whether_a_granted_network_holds(sandbox):
    diagnosis = await examination.examine(sandbox, this_interpreter())
    (finding,) = [one for one in diagnosis.findings if one.layer == "granted network"]
    assert finding.held and finding.detail == "nothing came through"


async def test_a_relay_that_ends_is_a_fault_of_ours_and_not_the_packages(lab, port):
    code = """
    import time
    def extract(*, job, **_):
        print("running", flush=True)
        time.sleep(0.5)
    """

    def kill_relay(report):
        if report.data.get("line") == "running":
            for pid in relays():
                os.kill(pid, signal.SIGKILL)

    command = lab.command(code, network=to("*", port=port))
    with pytest.raises(RelayLostError):
        await lab.sandbox.run(command, outputs_to=lab.outputs, observe=kill_relay)


async def test_no_relay_is_left_when_its_run_is_over_or_cancelled(lab, port):
    code = "import time\ndef extract(*, job, **_): print('on', flush=True); time.sleep(20)"
    cancelled = asyncio.Event()
    outcome: Outcome = await lab.sandbox.run(
        lab.command(code, network=to("*", port=port)),
        outputs_to=lab.outputs,
        observe=lambda _: cancelled.set(),
        cancelled=cancelled,
    )
    assert outcome.ending is Ending.CANCELLED and outcome.traffic is not None
    assert len(relays()) == 1  # the one that is kept ahead


async def test_the_next_relay_is_kept_ahead_and_let_go_at_the_end(lab, world, port):
    before = set(relays())
    own = await Sandbox.open(world / "cells-of-its-own", relay=RELAY)
    command = lab.command("def extract(*, job, **_): return 1", network=to("*", port=port))
    for _ in range(2):
        outcome = await own.run(command, outputs_to=lab.outputs, observe=lambda _: None)
        assert outcome.is_ok
        (ahead,) = set(relays()) - before
    os.kill(ahead, signal.SIGKILL)  # a spare one that ended is nobody's fault, and not taken
    outcome = await own.run(command, outputs_to=lab.outputs, observe=lambda _: None)
    assert outcome.is_ok
    await own.close()
    assert set(relays()) == before


async def test_a_relay_is_in_a_cgroup_of_its_own(lab, port):
    if lab.sandbox.hierarchy is None:
        lacking("a cgroup that is delegated")
    groups: list[set[str]] = []

    def observe(_):
        groups.append({group_of(pid) for pid in relays()} - {group_of("self")})

    code = "def extract(*, job, **_): print('on')"
    command = lab.command(code, network=to("*", port=port))
    await lab.sandbox.run(command, outputs_to=lab.outputs, observe=observe)
    (group,) = groups[0]  # the one that is kept ahead is still in ours
    assert "leaf-" in group


def group_of(pid: int | str) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text()


def relays() -> list[int]:
    """The relays of this process, by their command lines."""
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [int(pid) for path in children for pid in path.read_text().split()]
    return [pid for pid in pids if str(RELAY) in _arguments(pid)]


def _arguments(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ")


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"a page")

    def log_message(self, *_: object) -> None:
        pass
