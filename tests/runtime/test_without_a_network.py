"""While the gate is closed nothing is called: tried where every call would be counted.

The appliance runs in a network namespace of its own, where every address is reached by the
loopback interface, and nobody is there. Its kernel counts each connection that is begun and each datagram that is sent
(/proc/PID/net/snmp, RFC 4022 and 4113), wherever they lead; commands reach the appliance by
the socket in its home, which needs no network.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.lacking import lacking
from support.wheels import make_wheel
from support.world import open_folder

from .conftest import Server, run_command, running, zipped

WAY_OUT = """
ip link set lo up
ip route add default dev lo && ip -6 route add default dev lo
exec "$@"
"""
CALLS = """
import socket
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    with socket.socket(socket.AF_INET, kind) as calling:
        calling.setblocking(False)
        if calling.connect_ex(("198.51.100.7", 53)) == 0:
            calling.send(b"x")
"""


def apart() -> list[str]:
    """Return the command that starts another with a network namespace of its own."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        lacking("unshare(1) and ip(8)")
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        lacking("a network namespace")
    return [*unshare, "sh", "-c", WAY_OUT, "sh"]


def calls_of(pid: int) -> Mapping[str, int]:
    """Return how many connections and datagrams were sent out of the namespace of `pid`."""
    lines = Path(f"/proc/{pid}/net/snmp").read_text().splitlines()
    told = {
        names.split()[0]: (names.split(), numbers.split())
        for names, numbers in zip(lines[::2], lines[1::2], strict=True)
    }
    v6 = dict(line.split() for line in Path(f"/proc/{pid}/net/snmp6").read_text().splitlines())

    def of(protocol: str, name: str) -> int:
        names, numbers = told[protocol]
        return int(numbers[names.index(name)])

    return {
        "connections": of("Tcp:", "ActiveOpens"),
        "datagrams": of("Udp:", "OutDatagrams") + int(v6["Udp6OutDatagrams"]),
    }


@pytest.fixture(scope="module")
def alone() -> Iterator[Server]:
    """An appliance that no network reaches."""
    with (
        open_folder() as world,
        running(world / "home", within=apart(), index__url="http://127.0.0.1:9/simple/") as server,
    ):
        yield server


def here(server: Server, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return run_command(*words, environ={"FUMEHOOD_HOME": str(server.home)})


def test_a_call_would_be_counted() -> None:
    script = f"{CALLS}\nimport sys; print('ready', flush=True); sys.stdin.read()"
    argv = [*apart(), "python3", "-I", "-c", script]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as caller:
        assert caller.stdout and caller.stdout.readline() == b"ready\n"
        assert calls_of(caller.pid) == {"connections": 1, "datagrams": 1}


def test_the_whole_way_of_a_package_calls_nobody(alone: Server, tmp_path: Path) -> None:
    assert here(alone, "wheelhouse", "add", make_wheel(tmp_path, "greetings")).returncode == 0
    changes = {
        "manifest.json": json.dumps({"schema": 1, "name": "offline", "version": "1.0"}),
        "requirements.txt": "greetings\n",
        "hooks/on_activate.py": f"def run(*, context, **_):\n    exec({CALLS!r})\n",
        "extract.py": f"import greetings\n\n\ndef extract(*, job, **_):\n    exec({CALLS!r})\n"
        "    return greetings.VERSION\n",
    }
    activation = alone.activate(zipped("counts-words", changes=changes))
    assert activation["state"] == "succeeded", activation
    job = alone.ended(alone.submit("offline").json()["id"])
    assert job["state"] == "succeeded", job
    changes["requirements.txt"] = "a-distribution-nobody-has\n"
    changes["manifest.json"] = changes["manifest.json"].replace("1.0", "2.0")
    failed = alone.activate(zipped("counts-words", changes=changes))
    assert [problem["code"] for problem in failed["problems"]] == ["not-in-wheelhouse"]
    for words in (["wheelhouse", "list"], ["env", "list"], ["gate", "show"], ["audit", "list"]):
        assert here(alone, *words).returncode == 0
    for page in ("/", "/packages", "/docs", "/healthz", "/simple/", "/openapi.json"):
        assert alone.http.get(page).status_code == 200, page
    assert calls_of(alone.process.pid) == {"connections": 0, "datagrams": 0}


def test_the_gate_is_the_one_way_out(alone: Server) -> None:
    """Opened, it calls: so what the test above counts is what an install would do."""
    order = {"is_open": True, "minutes": 5, "reason": "to be heard"}
    assert alone.http.put("/v1/gate", json=order).status_code == 200
    changes = {
        "manifest.json": json.dumps({"schema": 1, "name": "online", "version": "1.0"}),
        "requirements.txt": "a-distribution-nobody-has\n",
    }
    failed = alone.activate(zipped("counts-words", changes=changes))
    assert [problem["code"] for problem in failed["problems"]] == ["index-unreachable"]
    calls = calls_of(alone.process.pid)
    assert calls["connections"] + calls["datagrams"] > 0
