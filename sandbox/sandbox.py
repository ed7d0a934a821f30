"""The room's front door: `Sandbox.run(command)` runs a Command in a Cell, returns an Outcome."""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from frozen.values import changed
from sandbox import protocol
from sandbox.cells.cell import Cell
from sandbox.cells.launcher import Launcher
from sandbox.cells.leftovers import sweep
from sandbox.cells.pool import Pool, PoolBounds
from sandbox.cgroups.hierarchy import delegated
from sandbox.cgroups.leaf import Hierarchy, Leaf
from sandbox.cgroups.leaves import Leaves
from sandbox.command import (
    ColdReason,
    Command,
    Ending,
    Interpreter,
    Isolation,
    Level,
    Observe,
    OnVerdict,
    Outcome,
    Usage,
)
from sandbox.errors import (
    CellLostError,
    InputUnplaceableError,
    NetworkUnwallableError,
    WallsMissingError,
)
from sandbox.isolation import Probed, in_force, probe, this_interpreter
from sandbox.kernel import procfs
from sandbox.kernel.process import Exit, allow_descriptors
from sandbox.kernel.processors import Processors
from sandbox.limits import Limits
from sandbox.network import relays as relay_processes
from sandbox.network.outlet import Outlet
from sandbox.network.relays import Relays
from sandbox.network_rules import NetworkRules
from sandbox.runs import disk_usage, outcomes, outputs
from sandbox.runs.supervision import Supervision
from sandbox.runs.verdict import Verdict
from sandbox.walls import host, messages
from sandbox.walls.host import Host

_GRACE_S = 5.0
_OF_RELAYS = Limits(memory_mb=128, processes=32, cpus=1.0)
"""What a relay has to itself: its run's limits do not count it, and it is nobody else's."""


@dataclass(slots=True, kw_only=True)
class Sandbox:
    """Runs Commands. Made by `Sandbox.open`, closed with `close`; one per process."""

    host: Host
    level: Level
    launcher: Launcher
    hierarchy: Hierarchy | None
    pool: Pool
    missing: tuple[str, ...]
    """What stands between this host and the best level, for people."""
    grace_s: float = _GRACE_S
    relays: Relays = field(default_factory=Relays)
    processors: Processors = field(default_factory=Processors)
    """The ways out of runs with network."""

    @classmethod
    async def open(
        cls,
        home: Path,
        *,
        bounds: PoolBounds | None = None,
        without_namespaces: bool = False,
        interpreter: Interpreter | None = None,
        grace_s: float = _GRACE_S,
        relay: Path = relay_processes.PROGRAM,
        crossed: tuple[Path, ...] = (),
        seen: tuple[Path, ...] = (),
        prepared: Path | None = None,
    ) -> Self:
        """Look at the host, try its walls, and return a sandbox that keeps its things in `home`.

        `without_namespaces` leaves them out even where the host allows them; `interpreter` is
        what the walls are tried with (the running one); `relay` is the program of the ways out.
        `crossed` are folders of ours around what cells see, 0700: their users may cross them where
        there is no other way. `seen` are folders that hold what most cells see: what is not named
        here is bound when it is wanted, which takes 25 ms each time. What is made once for all
        cells, such as the bytecode of what starts in them (0.1 s), is kept in `prepared`, if not
        in `home`. Cells that a killed worker left are dead already; their folders are removed.
        """
        allow_descriptors()
        await asyncio.to_thread(_prepare, home)
        found = host.look(crossed=crossed)
        hierarchy = delegated(f"fumehood-{os.getpid()}-{secrets.token_hex(3)}")
        probed = await probe(
            found,
            home,
            interpreter=interpreter or this_interpreter(),
            try_namespaces=not without_namespaces,
            leaves=Leaves(hierarchy),
            prepared=prepared or home,
            seen=seen,
        )
        return cls(
            host=found,
            level=_level(found, probed, has_cgroup=hierarchy is not None),
            launcher=probed.launcher,
            hierarchy=hierarchy,
            pool=Pool(launcher=probed.launcher, bounds=bounds or PoolBounds()),
            missing=probed.missing,
            grace_s=grace_s,
            relays=Relays(relay),
        )

    async def run(
        self,
        command: Command,
        *,
        outputs_to: Path,
        observe: Observe,
        cancelled: asyncio.Event | None = None,
        on_verdict: OnVerdict | None = None,
    ) -> Outcome:
        """Run `command` behind the best walls of this host; return what happened.

        Raises WallsMissingError where they are not as good as the command demands, and other
        SandboxErrors when we failed.
        """
        self._demand(command.least)
        self._demand_network(command)
        asked = time.monotonic()
        cell = await self._ready_cell(command, cancelled)
        start_ms = (time.monotonic() - asked) * 1000
        try:
            outcome = await self._run_in(cell, command, outputs_to, observe, cancelled, on_verdict)
        finally:
            if cell.start == "cold" and command.warmth is not None:
                self.pool.warm_up(command)
        if _has_to_run_again(cell, outcome):
            cell = await self.launcher.cold(
                command, reason=ColdReason("the warm cell died during the run")
            )
            outcome = await self._run_in(cell, command, outputs_to, observe, cancelled, on_verdict)
        return changed(outcome, start_ms=start_ms)

    async def close(self) -> None:
        """End every warm cell and give back what was made for all."""
        await self.pool.close()
        await self.relays.close()
        self.launcher.close()
        if self.hierarchy is not None:
            self.hierarchy.remove()

    async def _run_in(
        self,
        cell: Cell,
        command: Command,
        outputs_to: Path,
        observe: Observe,
        cancelled: asyncio.Event | None,
        on_verdict: OnVerdict | None,
    ) -> Outcome:
        try:
            watch = Supervision(cell, command, observe=observe, on_verdict=on_verdict)
            rules = command.network
            way_out = self._way_out(cell, rules, observe) if rules else contextlib.nullcontext()
            async with way_out as outlet:
                started = time.monotonic()
                with self.processors.shared(cell.hello.pid, command.limits.cpus) as unbound:
                    message = messages.request(command, cell.layout, processors=unbound)
                    request = protocol.frame(message)
                    verdict = await watch.watch(request, cancelled=cancelled, grace_s=self.grace_s)
                wall_ms = (time.monotonic() - started) * 1000
            isolation = in_force(
                cell,
                level=self.level,
                network=command.network,
                landlock_abi=self.host.barriers.landlock_abi,
                cgroup=self.hierarchy.version if self.hierarchy else "",
                mapped=watch.mapped,
            )
            usage = self._usage(cell, watch, wall_ms)
            outcome = await self._outcome(
                command, cell, watch.ended, verdict, isolation, outputs_to
            )
            outcome = outcomes.name_limit(
                outcome,
                verdict,
                command.limits,
                refusals=watch.counted.fork_refusals,
                filled=await _filled(cell, command, outcome, verdict),
            )
            if outlet is not None:
                outcome = outcomes.with_traffic(outcome, outlet.traffic)
            outcome = outcomes.with_stack(outcome, watch.stack)
            outcome = changed(outcome, usage=usage, dropped_log_bytes=watch.dropped_log_bytes)
            return outcome if watch.mask is None else watch.mask.outcome(outcome)
        finally:
            await cell.close()

    @contextlib.asynccontextmanager
    async def _way_out(
        self, cell: Cell, rules: NetworkRules, observe: Observe
    ) -> AsyncGenerator[Outlet]:
        """Offer the relay of a run with network, from before the run until all of it is dead."""
        leaf = self.launcher.leaves.make(_OF_RELAYS)
        try:
            outlet = await self._outlet(cell, rules, observe, leaf)
            try:
                yield outlet
            except BaseException:
                await outlet.kill()
                raise
            await outlet.close()
        finally:
            if leaf is not None:
                leaf.remove()

    async def _outlet(
        self, cell: Cell, rules: NetworkRules, observe: Observe, leaf: Leaf | None
    ) -> Outlet:
        """Order a relay for the cell, in a leaf of its own: what it uses is nobody else's."""
        started = self.relays.take()
        if leaf is not None:
            try:
                await self.launcher.migrator.move(leaf, started.child.pid)
            except BaseException:
                await started.end()
                raise
        user = self.host.user(self.launcher.next_number())
        return await Outlet.open(
            started, rules, cell_pid=cell.hello.pid, user=user, observe=observe
        )

    def _demand(self, least: Level) -> None:
        if not self.level.at_least(least):
            raise WallsMissingError(
                f"this host allows level {self.level}, the run demands {least}: "
                + ("; ".join(self.missing) or "no reason known"),
                mend="run `fumehood doctor`, which says how to get what is missing",
            )

    def _demand_network(self, command: Command) -> None:
        """Refuse a run with network where it would be the host's, loopback and all."""
        if command.network is not None and not self.launcher.kind.walls.facts.takes_network:
            raise NetworkUnwallableError(
                "the run was granted a network, and this host cannot give it one of its own: "
                + ("; ".join(self.missing) or "namespaces are left out"),
                mend="install bubblewrap and allow user namespaces (`fumehood doctor` says how), "
                "or grant the package no network",
            )

    async def _ready_cell(self, command: Command, cancelled: asyncio.Event | None) -> Cell:
        """Return a cell with its inputs in sight; cold where a warm one cannot be had."""
        reason = self._why_cold(command)
        if reason:
            return await self.launcher.cold(command, reason=ColdReason(reason))
        cell = await self.pool.take(command, cancelled=cancelled)
        if isinstance(cell, ColdReason):
            return await self.launcher.cold(command, reason=cell)
        try:
            await self._place_inputs(command, cell)
        except CellLostError as fault:
            await cell.close()
            return await self.launcher.cold(command, reason=ColdReason(fault.what))
        except BaseException:
            await cell.close()
            raise
        return cell

    def _why_cold(self, command: Command) -> str:
        """Return why the run starts cold whatever the pool has, or nothing."""
        if command.network is not None:
            return "a run with network has a namespace and a relay that are made for it alone"
        if command.warmth is None:
            return "the command did not ask for warmth"
        return self.launcher.kind.why_cold(command.inputs) if command.inputs else ""

    async def _place_inputs(self, command: Command, cell: Cell) -> None:
        """Put the inputs where only this fork sees them."""
        if not command.inputs:
            return
        place = self.launcher.kind.place_inputs
        try:
            await asyncio.to_thread(place, command.inputs, cell.hello, cell.folder)
        except InputUnplaceableError as fault:
            if isinstance(fault.__cause__, FileNotFoundError) and _are_there(command):
                raise CellLostError("the fork takes no inputs", mend="run it again") from fault
            raise

    def _usage(self, cell: Cell, watch: Supervision, wall_ms: float) -> Usage:
        """Prefer the kernel's count of the whole tree to what its first process used."""
        ended = watch.ended
        if cell.leaf is None:
            told = ended.peak_rss_bytes if cell.start == "warm" else 0
            peak = max(told, watch.peak_bytes)
            # bubblewrap is killed before it has waited for its cell, and knows its own alone.
            cpu_ms = max(ended.cpu_s, watch.cpu_s) * 1000
            return Usage(wall_ms=wall_ms, cpu_ms=cpu_ms, peak_rss_bytes=peak)
        counted = watch.counted
        # What it had before it was in its cgroup is charged elsewhere. Not what wait4(2) tells:
        # that is inherited over fork and exec, and would be the worker's own peak.
        peak = procfs.resident_bytes(cell.hello.status) + counted.peak_memory_bytes
        return Usage(wall_ms=wall_ms, cpu_ms=counted.cpu_s * 1000, peak_rss_bytes=peak)

    async def _outcome(
        self,
        command: Command,
        cell: Cell,
        ended: Exit,
        verdict: Verdict,
        isolation: Isolation,
        outputs_to: Path,
    ) -> Outcome:
        outcome = outcomes.outcome(verdict, ended, isolation, result_kb=command.limits.result_kb)
        if _left_nothing(cell) or _has_to_run_again(cell, outcome):
            return outcome
        gathered = await asyncio.to_thread(
            outputs.collect, cell.hello.output_fd, outputs_to, command.limits
        )
        return outcomes.with_outputs(outcome, gathered)


def _are_there(command: Command) -> bool:
    """Say whether the inputs are where they were: then it is the fork that lacks a place."""
    return all(item.source.exists() for item in command.inputs)


def _level(found: Host, probed: Probed, *, has_cgroup: bool) -> Level:
    """Return the level that cells of this host reach, those that come up at all."""
    walls = probed.launcher.kind.walls
    best = walls.level(found.barriers, has_cell_users=bool(found.cell_uids), has_cgroup=has_cgroup)
    return best if probed.is_startable else Level.PROCESS


def _prepare(home: Path) -> None:
    """Make `home`; what is in it is for the users of cells, what is around it need not be."""
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o755)
    sweep(home)


async def _filled(cell: Cell, command: Command, outcome: Outcome, verdict: Verdict) -> str:
    """Return the limit that a full disk was about; where it is summed up, off the event loop."""
    if outcome.ending is not Ending.RAISED or not outcomes.is_about_disk(verdict.done):
        return ""
    return await asyncio.to_thread(disk_usage.filled, cell, command.limits)


def _left_nothing(cell: Cell) -> bool:
    """Say whether there are no outputs: an empty folder needs no thread to be collected."""
    return outputs.is_empty(cell.hello.output_fd)


def _has_to_run_again(cell: Cell, outcome: Outcome) -> bool:
    """Say whether a run fell with its warm cell: then nothing of it is kept."""
    return cell.is_orphaned and outcome.ending is Ending.KILLED
