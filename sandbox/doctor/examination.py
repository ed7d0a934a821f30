"""doctor: attacks each wall of this host, instead of asking for versions, and tells."""

import asyncio
import contextlib
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import cast

from frozen.values import frozen
from sandbox.command import (
    Command,
    Ending,
    Folder,
    Interpreter,
    Json,
    Level,
    Outcome,
    Report,
    Warmth,
)
from sandbox.doctor.hints import hints
from sandbox.doctor.import_probes import IMPORT_PROBES, ImportProbe
from sandbox.doctor.run_probes import ATTACKS, Probe
from sandbox.errors import NetworkUnwallableError, SandboxError
from sandbox.limits import Limits
from sandbox.network_rules import NetworkRules
from sandbox.sandbox import Sandbox

_PROBES = Path(__file__).with_name("probes")
_LIMITS = Limits(
    wall_s=10, cpu_s=5, memory_mb=96, processes=24, output_mb=8, scratch_mb=8, log_kb=64
)
_SLEEP = "import time; time.sleep(30)"


@frozen
class Finding:
    """One wall: what was tried, whether it held, what came of it, and the mend."""

    layer: str
    tried: str
    held: bool
    detail: str = ""
    mend: str = ""


@frozen
class Diagnosis:
    """What doctor found. `is_enough` says whether the level is at least the demanded one."""

    level: Level
    least: Level
    findings: tuple[Finding, ...]
    hints: tuple[str, ...]
    gaps: tuple[str, ...]

    @property
    def is_enough(self) -> bool:
        """Whether every wall held and the level is good enough."""
        return self.level.at_least(self.least) and all(finding.held for finding in self.findings)


async def examine(
    sandbox: Sandbox, interpreter: Interpreter, *, least: Level = Level.UNPRIVILEGED
) -> Diagnosis:
    """Attack every wall of `sandbox`, one after the other; return what held."""
    findings = [_level_finding(sandbox, least)]
    with _targets() as facts, tempfile.TemporaryDirectory(prefix="fumehood-doctor-") as work:
        works = await _try_cells(sandbox, interpreter, facts, Path(work))
        findings += works
        if works[0].held:
            for probe in ATTACKS:
                findings.append(await _attack(sandbox, interpreter, probe, facts, Path(work)))
            for probe in IMPORT_PROBES:
                findings.append(await _import(sandbox, interpreter, probe, Path(work)))
    return Diagnosis(
        level=sandbox.level,
        least=least,
        findings=tuple(findings),
        hints=hints(sandbox),
        gaps=_gaps(sandbox.level),
    )


def _level_finding(sandbox: Sandbox, least: Level) -> Finding:
    return Finding(
        layer="level",
        tried=f"build walls of level {least} or better",
        held=sandbox.level.at_least(least),
        detail="; ".join((f"level {sandbox.level}", *sandbox.missing)),
        mend="; ".join(hints(sandbox)),
    )


async def _try_cells(
    sandbox: Sandbox, interpreter: Interpreter, facts: dict[str, Json], work: Path
) -> list[Finding]:
    """Start a cold and a warm cell that do nothing."""
    findings: list[Finding] = []
    for start in ("cold", "warm"):
        tried = f"start a {start} cell with {interpreter.executable}"
        command = _command(interpreter, "nothing", facts, is_warm=start == "warm")
        try:
            outcome = await sandbox.run(command, outputs_to=work / start, observe=lambda _: None)
            held = outcome.is_ok and outcome.isolation.start == start
            is_as_asked = outcome.isolation.start == start
            detail = _came_of(outcome) if is_as_asked else outcome.isolation.start_reason
        except SandboxError as fault:
            held, detail = False, fault.what
        mend = "" if held else "; ".join(hints(sandbox)) or "see the detail"
        findings.append(
            Finding(layer=f"{start} cell", tried=tried, held=held, detail=detail, mend=mend)
        )
    return findings


def _came_of(outcome: Outcome) -> str:
    return outcome.failure.what if outcome.failure else f"{outcome.usage.wall_ms:.1f} ms"


async def _attack(
    sandbox: Sandbox, interpreter: Interpreter, probe: Probe, facts: dict[str, Json], work: Path
) -> Finding:
    command = _command(interpreter, probe.name, facts, is_warm=False)
    if probe.is_granted:
        rules = NetworkRules(hosts=("*",), ports=(cast("int", facts["port"]),))
        command = replace(command, network=rules)
    try:
        outcome = await sandbox.run(command, outputs_to=work / probe.name, observe=lambda _: None)
        held, detail = _judge(outcome)
        held = held and (outcome.is_ok or not probe.is_granted)  # a dead relay proves nothing
    except NetworkUnwallableError as fault:
        held, detail = True, f"refused here: {fault.what}"
    except SandboxError as fault:
        held, detail = False, fault.what
    if probe.name == "keep_daemon":
        held = not await _is_left(str(facts["mark"]))
        detail = "every process ended with the run" if held else "a process is still alive"
    return Finding(
        layer=probe.layer,
        tried=probe.tried,
        held=held,
        detail=detail,
        mend="" if held else probe.mend,
    )


async def _import(
    sandbox: Sandbox, interpreter: Interpreter, probe: ImportProbe, work: Path
) -> Finding:
    """Let a warm cell import the probe, and look what its run got."""
    command = replace(
        _command(interpreter, "nothing", {}, is_warm=False),
        target=f"{probe.module}:attempt",
        warmth=Warmth(key=f"doctor-{probe.module}", preload=(probe.module,)),
    )
    try:
        outcome = await sandbox.run(command, outputs_to=work / probe.module, observe=_nobody)
        held, detail = _judge(outcome)
    except SandboxError as fault:
        return Finding(
            layer=probe.layer, tried=probe.tried, held=False, detail=fault.what, mend=probe.mend
        )
    isolation = outcome.isolation
    if isolation.start == "cold":
        detail = f"the runs start cold: {isolation.start_reason.splitlines()[0]}"
    elif probe.makes_it_cold:
        held, detail = False, "the warm cell went on"
    mend = "" if held else probe.mend
    return Finding(layer=probe.layer, tried=probe.tried, held=held, detail=detail, mend=mend)


def _nobody(_report: Report) -> None:
    """Let what a probe says be."""


def _judge(outcome: Outcome) -> tuple[bool, str]:
    """Return whether the wall held, and how it answered."""
    if outcome.ending is Ending.RETURNED and isinstance(outcome.value, dict):
        got = str(outcome.value.get("got", ""))
        return not got, f"got {got}" if got else "nothing came through"
    return True, outcome.failure.what if outcome.failure else str(outcome.ending)


async def _is_left(mark: str) -> bool:
    """Look for a second whether a process with `mark` among its arguments lives on."""
    for _ in range(20):
        if not _is_running(mark):
            return False
        await asyncio.sleep(0.05)
    return True


def _is_running(mark: str) -> bool:
    return any(mark in _arguments(path) for path in Path("/proc").glob("[0-9]*/cmdline"))


def _arguments(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_bytes().decode(errors="replace")
    return ""


def _command(
    interpreter: Interpreter, name: str, facts: dict[str, Json], *, is_warm: bool
) -> Command:
    return Command(
        target=f"probe:{name}",
        handle="job",
        interpreter=interpreter,
        limits=_LIMITS,
        folders=(Folder(name="bundle", source=_PROBES, on_path=True),),
        facts=facts,
        least=Level.PROCESS,
        warmth=Warmth(key="doctor", preload=("probe",)) if is_warm else None,
    )


@contextlib.contextmanager
def _targets() -> Generator[dict[str, Json]]:
    """Set up what the probes aim at: a file, a port, an abstract socket, a mark."""
    name = "fumehood-doctor-" + secrets.token_hex(8)
    listener, abstract = socket.socket(), socket.socket(socket.AF_UNIX)
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagrams.bind(b"\0" + name.encode() + b"-datagrams")
    listener.bind(("127.0.0.1", 0))
    abstract.bind(b"\0" + name.encode())
    with tempfile.TemporaryDirectory(prefix="fumehood-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        secret = Path(folder) / "readable-by-all"
        secret.write_text("host file", encoding="utf-8")
        for sock in (listener, abstract):
            sock.listen()
            threading.Thread(target=_answer, args=(sock,), daemon=True).start()
        try:
            yield {
                "host_file": str(secret),
                "port": listener.getsockname()[1],
                "abstract_name": name,
                "datagram_name": f"{name}-datagrams",
                "host_pid": os.getpid(),
                "mark": name,
                "sleep": _SLEEP,
                "memory_mb": _LIMITS.memory_mb,
                "processes": _LIMITS.processes,
                "scratch_mb": _LIMITS.scratch_mb,
            }
        finally:
            datagrams.close()
            for sock in (listener, abstract):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()


def _answer(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"the host answers")


def _gaps(level: Level) -> tuple[str, ...]:
    from sandbox.doctor.known_gaps import GAPS  # noqa: PLC0415 – data, needed at one level only

    return tuple(GAPS.values()) if level is Level.UNPRIVILEGED else ()
