"""What a package does while it is imported: it meets no other job, and no wall is less for it.

The promise: two jobs of one version share what the import made before either began, and nothing
else. Every attack first works without the wall, in forks of a plain Python that imported it.
"""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil
import pytest
from hostile import imports
from hostile.arena import ATTACKS, LIMITS, Arena
from hostile.catalogue import catalogue

from sandbox.command import Command, Ending, Folder, Input, Outcome, Report, Warmth
from sandbox.limits import MIB
from sandbox.sandbox import Sandbox
from sandbox.walls.namespaced import NamespacedWalls
from sandbox.walls.on_host import HostWalls

LEVELS = pytest.mark.parametrize("level", ["namespaced", "unprivileged"])
ENDINGS = {Ending.RETURNED, Ending.RAISED, Ending.UNLOADABLE}
MEETING = imports.DAEMONS | imports.CHANNELS
_BARE = """
import importlib, json, os, pathlib, sys, types
sys.path.insert(0, sys.argv[1])
module = importlib.import_module("extract")
said = []
for at in range(2):
    read, write = os.pipe()
    if os.fork() == 0:
        place = pathlib.Path(sys.argv[2 + at])
        job = types.SimpleNamespace(inputs=[place / "input/in.txt"], output_dir=place / "output",
                                    scratch_dir=place / "scratch")
        os.write(write, json.dumps(module.extract(job=job)).encode())
        os._exit(0)
    os.wait()
    os.close(write)
    said.append(json.loads(os.read(read, 65536) or b"null"))
print(json.dumps(said))
"""


@dataclass
class Client:
    """One client's job: its input, and what came of it."""

    secret: str
    outcome: Outcome | None = None
    reports: list[Report] = field(default_factory=list)

    @property
    def seen(self) -> str:
        """Everything that this client gets to see."""
        return f"{self.outcome} {self.reports}"


@pytest.fixture
def bundle(world: Path, request: pytest.FixtureRequest):
    def make(code: str) -> Path:
        folder = world / f"import-{abs(hash(request.node.nodeid))}"
        folder.mkdir()
        (folder / "extract.py").write_text(code)
        return folder

    return make


@pytest.fixture
def jobs(sandbox: Sandbox, arena: Arena, world: Path, tmp_path: Path):
    async def run(folder: Path, clients: list[Client], **changes) -> list[Outcome]:
        return await asyncio.gather(*(one(folder, client, **changes) for client in clients))

    async def one(folder: Path, client: Client, **changes) -> Outcome:
        command = replace(command_of(folder, arena, world, client.secret), **changes)
        client.outcome = await sandbox.run(
            command, outputs_to=tmp_path / client.secret, observe=client.reports.append
        )
        return client.outcome

    return run


def command_of(folder: Path, arena: Arena, world: Path, secret: str) -> Command:
    source = world / f"{secret}.txt"
    source.write_text(secret)
    return Command(
        target="extract:extract",
        handle="job",
        interpreter=arena.interpreter,
        limits=replace(LIMITS, wall_s=5),
        folders=(Folder(name="bundle", source=folder, on_path=True),),
        inputs=(Input(name="in.txt", source=source),),
        warmth=Warmth(key=str(folder), preload=("extract",)),
    )


@LEVELS
@pytest.mark.parametrize("attack", MEETING)
async def test_two_jobs_share_nothing_that_was_made_after_the_import(
    attack: str, level: str, jobs, bundle, tmp_path: Path
):
    folder = bundle(MEETING[attack])
    clients = [Client(f"secret-{attack}-{number}") for number in range(5)]
    await jobs(folder, clients[:1])
    await jobs(folder, clients[1:3])
    await jobs(folder, clients[3:])
    for client in clients:
        assert client.outcome is not None
        assert client.outcome.ending in ENDINGS, client.outcome
        written = read_all(tmp_path / client.secret)
        for other in clients:
            tail = other.secret[-15:]
            if other is not client:
                assert other.secret not in client.seen + written
                assert tail not in client.seen + written


def read_all(folder: Path) -> str:
    return " ".join(path.read_text() for path in folder.rglob("*") if path.is_file())


@LEVELS
@pytest.mark.parametrize("attack", [*imports.DAEMONS, *imports.CHANNELS])
async def test_an_import_that_leaves_a_way_from_job_to_job_runs_cold_and_is_named(
    attack: str, level: str, jobs, bundle
):
    made_by_the_run = {
        "abstract_socket",
        "names_of_processes",
        "files_left_by_the_import",
        "system_v_memory",
        "signal_of_stdin",
        "cookies_of_sockets",
        "counters_of_packets",
        "counters_of_mptcp",
    }
    had_anew = {
        "shared_memory",
        "memfd",
        "pipe",
        "socket_pair",
    }  # each fork gets its own: nothing passes
    client = Client("named")
    await jobs(bundle(MEETING[attack]), [client])
    assert client.outcome is not None
    isolation = client.outcome.isolation
    if (
        attack in made_by_the_run
        or (attack in had_anew and level == "namespaced")
        or (attack, level) == ("fifo", "unprivileged")
    ):
        assert isolation.start == "warm", isolation.start_reason
    else:
        assert isolation.start == "cold"
        assert "preload" in isolation.start_reason, isolation.start_reason


@pytest.mark.parametrize(
    "attack", sorted({*imports.DAEMONS, *imports.CHANNELS} - {"abstract_socket"})
)
def test_the_attack_works_between_plain_forks(attack: str, bundle, tmp_path: Path):
    """Where nothing is between them, the second job gets hold of the first one's input."""
    if (
        attack in {"shared_file", "files_left_by_the_import", "thread", "fifo", "signal_of_stdin"}
        or attack in imports.DAEMONS
    ):
        pytest.skip("it aims at what a cell has, not at plain forks")
    folder = bundle(MEETING[attack])
    places = []
    for number in range(2):
        place = tmp_path / f"job-{number}"
        for part in ("input", "output", "scratch"):
            (place / part).mkdir(parents=True)
        (place / "input/in.txt").write_text(f"secret-{number}")
        places.append(str(place))
    done = subprocess.run(
        [sys.executable, "-I", "-c", _BARE, str(folder), *places],
        capture_output=True,
        text=True,
        timeout=60,
    )
    first, second = json.loads(done.stdout.splitlines()[-1])
    assert first["own"] == ["secret-0"]
    if attack != "names_of_processes":  # both have to live at once for that
        assert "secret-0" in str(second["got"]), second


@LEVELS
@pytest.mark.parametrize("patch", imports.PATCHES)
async def test_an_import_that_rewrites_the_runner_has_the_same_walls_around_its_runs(
    patch: str, level: str, jobs, bundle
):
    folder = bundle(imports.PATCHED + imports.PATCHES[patch] + "\n")
    clients = [Client(f"patched-{patch}-{number}") for number in range(2)]
    for client in clients:
        await jobs(folder, [client])
        outcome = client.outcome
        assert outcome is not None
        assert outcome.ending is not Ending.UNLOADABLE, outcome  # the attack itself is at fault
        if outcome.ending is not Ending.RETURNED:
            continue  # it has spoilt its own run
        assert outcome.value["got"] == [], outcome
        walls = NamespacedWalls() if level == "namespaced" else HostWalls()
        wanted = walls.rlimits(replace(LIMITS, wall_s=5))
        names = ("RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_MEMLOCK")
        assert outcome.value["limits"] == [wanted[name] for name in names]
        landlock = next(one for one in outcome.isolation.layers if one.name == "landlock")
        assert not landlock.in_force or landlock.detail.startswith("as asked for")


@LEVELS
async def test_an_import_makes_no_namespaces(level: str, jobs, bundle):
    client = Client("namespaces")
    await jobs(bundle(imports.NAMESPACES), [client])
    assert client.outcome is not None and client.outcome.value == {"got": 0}, client.outcome


@LEVELS
async def test_an_import_gets_at_no_other_process_of_its_cell(level: str, jobs, bundle):
    client = Client("neighbours")
    await jobs(bundle(imports.NEIGHBOURS), [client])
    assert client.outcome is not None and client.outcome.value == {"got": []}, client.outcome


@LEVELS
async def test_an_import_takes_no_more_memory_than_its_limit(
    level: str, jobs, bundle, sandbox: Sandbox
):
    client = Client("takes")
    watching = asyncio.create_task(_most_memory())
    await jobs(bundle(imports.TAKES), [client])
    watching.cancel()
    assert client.outcome is not None
    assert client.outcome.isolation.start == "cold"
    assert client.outcome.failure is not None
    assert client.outcome.failure.limit == "memory_mb", client.outcome
    assert 0 < _peak["bytes"] < 2 * LIMITS.memory_mb * MIB


_peak: dict[str, int] = {"bytes": 0}


async def _most_memory() -> None:
    """Note the most that any process below us has in memory.

    Not one that is still us, between vfork(2) and execve(2): its memory is ours, and what
    the tests before this one have left in it was once more than an import may take.
    """
    _peak["bytes"] = 0
    ourselves = psutil.Process()
    while True:
        for process in ourselves.children(recursive=True):
            try:
                if process.cmdline() != ourselves.cmdline():
                    _peak["bytes"] = max(_peak["bytes"], process.memory_info().rss)
            except psutil.Error:
                continue
        await asyncio.sleep(0.002)


@LEVELS
@pytest.mark.parametrize(
    "attack", [str(one) for one in catalogue() if one.target.startswith("hoards:")]
)
async def test_an_import_keeps_nothing_in_sockets_that_nobody_counts(
    attack: str, level: str, jobs, bundle
):
    """It has a network namespace for itself, as a run has, and once all the time of a run."""
    client = Client("hoards")
    before = _in_tcp_bytes()
    watching = asyncio.create_task(_most_in_tcp())
    code = HOARDING.replace("ATTACK", attack).replace("LIMITS", repr(asdict(LIMITS)))
    await jobs(bundle(code), [client])
    watching.cancel()
    assert client.outcome is not None and client.outcome.is_ok, client.outcome
    assert not client.outcome.value["worked"], client.outcome
    assert _peak["in_tcp"] - before < LIMITS.memory_mb * MIB


HOARDING = (
    (ATTACKS / "hoards.py").read_text()
    + """
from types import SimpleNamespace
def hoard(attack, **limits):
    try:
        return attack(job=SimpleNamespace(hold_s=0.2, **limits))
    except OSError as fault:
        return {"worked": False, "why": str(fault)}
SAID = hoard(ATTACK, **LIMITS)
def extract(*, job, **_):
    return SAID
"""
)


def _in_tcp_bytes() -> int:
    """Return what TCP holds of the whole host's memory, as its kernel counts it (proc(5))."""
    line = next(one for one in read_lines("/proc/net/sockstat") if one.startswith("TCP:"))
    return int(line.split()[-1]) * 4096


def read_lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


async def _most_in_tcp() -> None:
    _peak["in_tcp"] = 0
    while True:
        _peak["in_tcp"] = max(_peak["in_tcp"], _in_tcp_bytes())
        await asyncio.sleep(0.002)


@LEVELS
async def test_an_import_that_hangs_keeps_nobody_from_running(
    level: str, jobs, bundle, sandbox: Sandbox, arena: Arena, tmp_path: Path
):
    """Its time is the run's own; what waits for it starts cold; cancelling ends it at once."""
    folder = bundle("import time\ntime.sleep(600)\ndef extract(*, job, **_): return 1")
    began = time.monotonic()
    client = Client("hangs")
    limits = replace(LIMITS, wall_s=1)
    hanging = asyncio.create_task(jobs(folder, [client], limits=limits))
    neighbour = await sandbox.run(
        arena.command("traces:find", is_warm=False),
        outputs_to=tmp_path / "neighbour",
        observe=lambda _: None,
    )
    assert neighbour.is_ok
    await hanging
    assert client.outcome is not None and client.outcome.failure is not None
    assert client.outcome.failure.limit == "wall_s"
    assert client.outcome.isolation.start_reason == "preload took longer than 1 s"
    assert time.monotonic() - began < 30, "sixty seconds is what an import had before"


@LEVELS
async def test_descriptors_on_their_way_keep_no_neighbour_from_starting(
    level: str, jobs, bundle, sandbox: Sandbox, arena: Arena, tmp_path: Path
):
    """They count for all of a user's processes, and cells may be of one user (unix(7))."""
    clients = [Client(f"in-flight-{number}") for number in range(3)]
    hoarding = asyncio.create_task(jobs(bundle(imports.IN_FLIGHT), clients))
    while not any(client.reports for client in clients) and not hoarding.done():
        await asyncio.sleep(0.01)
    for start in ("cold", "warm", "cold", "warm"):
        outcome = await sandbox.run(
            arena.command("traces:find", is_warm=start == "warm"),
            outputs_to=tmp_path / "neighbour",
            observe=lambda _: None,
        )
        assert outcome.is_ok and outcome.isolation.start == start, outcome
    await hoarding


@LEVELS
async def test_a_run_that_is_cancelled_during_its_import_ends_at_once(
    level: str, bundle, sandbox: Sandbox, arena: Arena, world: Path, tmp_path: Path
):
    folder = bundle("import time\ntime.sleep(600)\ndef extract(*, job, **_): return 1")
    cancelled = asyncio.Event()
    command = command_of(folder, arena, world, "cancelled")
    command = replace(command, limits=replace(command.limits, wall_s=300))
    began = time.monotonic()
    running = asyncio.create_task(
        sandbox.run(
            command, outputs_to=tmp_path / "outputs", observe=lambda _: None, cancelled=cancelled
        )
    )
    await asyncio.sleep(0.5)
    cancelled.set()
    outcome = await running
    assert outcome.ending is Ending.CANCELLED, outcome
    assert time.monotonic() - began < 30, "a warm cell alone would be waited for longer"


@LEVELS
async def test_what_a_warm_run_used_is_not_told_by_its_package(level: str, jobs, bundle):
    """Three seconds of processor time were told as thirteen by a warm cell that had a say."""
    code = """
import sys, time
for name, module in list(sys.modules.items()):
    if name.endswith("_inside.warm.forking"):
        module.Wait.reap = lambda self: (0, 0, 13_000_000, 99_999_999)
def extract(*, job, **_):
    end = time.process_time() + 0.4
    while time.process_time() < end:
        pass
    return {"got": 0}
"""
    client = Client("used")
    await jobs(bundle(code), [client])
    assert client.outcome is not None and client.outcome.isolation.start == "warm"
    assert 350 < client.outcome.usage.cpu_ms < 2000, client.outcome.usage
    assert client.outcome.usage.peak_rss_bytes < LIMITS.memory_mb * MIB
