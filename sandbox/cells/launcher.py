"""Launches a cell's first process, and returns the cell when its walls are shut."""

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
from functools import partial
from pathlib import Path

from sandbox import protocol
from sandbox.base.runners import Runner, Runners
from sandbox.cells import run_folder
from sandbox.cells.cell import Cell
from sandbox.cells.ends import Ends, ends
from sandbox.cells.greeting import greet
from sandbox.cells.kind import CellKind, Start
from sandbox.cells.started import ColdTree, Plan, StartedCell
from sandbox.cgroups.leaf import Leaf
from sandbox.cgroups.leaves import Leaves
from sandbox.cgroups.migration import Migrator
from sandbox.command import ColdReason, Command, Interpreter
from sandbox.errors import CellUnstartableError
from sandbox.kernel.process import Child, HostUser
from sandbox.walls import messages
from sandbox.walls.host import Host


class Launcher:
    """Starts cells of the one kind that this host allows."""

    def __init__(
        self, *, host: Host, home: Path, kind: CellKind, leaves: Leaves, prepared: Path
    ) -> None:
        self.host = host
        self.home = home
        self.kind = kind
        self.leaves = leaves
        self.migrator = Migrator()
        self._runners = Runners(prepared)
        # Not from 0: a worker that takes another's place begins with other users for its cells.
        self._numbers = itertools.count(secrets.randbelow(1 << 20))

    @property
    def has_namespaces(self) -> bool:
        """Whether its cells have namespaces of their own."""
        return self.kind.walls.facts.has_namespaces

    async def cold(self, command: Command, *, reason: ColdReason) -> Cell:
        """Start a cold cell for `command`. Raises CellUnstartableError, InputUnplaceableError."""
        number = self.next_number()
        runner = await self.runner(command.interpreter)
        user = self.host.user(number)
        with contextlib.ExitStack() as undone:
            leaf = self.leaves.make(command.limits)
            if leaf is not None:
                undone.callback(leaf.remove)
            folder = self.kind.cold_folder(self.home / f"cold-{os.getpid()}-{number}", user=user)
            undone.callback(shutil.rmtree, folder, ignore_errors=True)
            run_folder.place_inputs(command.inputs, folder, by_link=True)
            start = self.start_of(command, runner, folder=folder, user=user, is_warm=False)
            with ends(user) as both:
                child = await self.process(start, both, leaf=leaf)
            undone.pop_all()
        has_inputs = bool(command.inputs)
        started = StartedCell(
            plan=self._plan(start, reason),
            ends=both,
            tree=ColdTree(child=child, kind=self.kind),
            leaf=leaf,
            give_back=partial(self.kind.give_back, folder, has_inputs=has_inputs),
        )
        return await self._ready(command, started, child)

    async def process(self, start: Start, both: Ends, *, leaf: Leaf | None) -> Child:
        """Start the first process of a cold or warm cell, with the cell's ends of `both`."""
        invocation = self.kind.invocation(start, channel_fd=both.theirs[0])
        try:
            return Child(await self.kind.spawn(invocation, both, user=start.user, leaf=leaf))
        except OSError as fault:
            raise CellUnstartableError(
                f"{invocation.argv[0]} cannot be started: {fault}", mend="run `fumehood doctor`"
            ) from fault

    def start_of(
        self,
        command: Command,
        runner: Runner,
        *,
        folder: Path,
        user: HostUser | None,
        is_warm: bool,
    ) -> Start:
        """Return what a cell's first process is started for."""
        return Start(
            command=command,
            runner=runner,
            layout=self.kind.walls.layout(command.folders, inside=runner.code, run_dir=folder),
            folder=folder,
            user=user,
            is_warm=is_warm,
        )

    async def runner(self, interpreter: Interpreter) -> Runner:
        """Return the runner for this interpreter, made once. Raises CellUnstartableError."""
        return await self._runners.of(interpreter)

    def next_number(self) -> int:
        """Return a number that no other cell of this worker has: its user follows from it."""
        return next(self._numbers)

    def close(self) -> None:
        """Give back what was made for all cells."""
        self.migrator.close()
        self.kind.close()

    def _plan(self, start: Start, reason: ColdReason) -> Plan:
        return Plan(
            kind=self.kind,
            layout=start.layout,
            folder=start.folder,
            start="cold",
            reason=reason,
        )

    async def _ready(self, command: Command, started: StartedCell, child: Child) -> Cell:
        """Tell the cell which walls to shut, and wait until it has."""
        entering = None
        if started.leaf is not None and not started.leaf.holds(child.pid):
            # Not born there: it is moved while it is still on its way to the runner.
            entering = self.migrator.move(started.leaf, child.pid)
        message = messages.setup(
            command,
            started.plan.layout,
            walls=self.kind.walls,
            barriers=self.host.barriers,
        )
        try:
            with contextlib.suppress(ConnectionError):  # greet says why it is gone
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(started.ends.channel, protocol.frame(message))
        except BaseException:
            await started.close()
            raise
        return await greet(started, self.migrator, entering=entering)
