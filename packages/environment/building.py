"""Builder: from a lock to a sealed folder. What is damaged on the way is made anew, once."""

import asyncio
import errno
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from frozen.values import frozen
from packages.environment.bytecode import Compiler
from packages.environment.inventory import FILE, INVENTORY_JSON, Installed, Inventory
from packages.environment.linking import (
    Clash,
    Damage,
    Damaged,
    Plan,
    WheelFiles,
    lay_out,
    plan,
    site_packages_of,
    sourceless,
)
from packages.environment.sharing import forget_shared, place_shared, share
from packages.errors import EnvironmentFailed
from packages.interpreters import cache_tag, platform_of
from packages.lock.diagnosis import disk_full
from packages.lock.lock import FILE as LOCK_FILE
from packages.lock.lock import Lock
from packages.progress import report_progress
from sandbox.command import Interpreter, Observe, Run
from wheelhouse.durable import (
    close_folders,
    flush_filesystem,
    folder_aside,
    spread_below,
    write_new,
)
from wheelhouse.errors import WheelhouseError
from wheelhouse.problem import Problem
from wheelhouse.store import Wheel, Wheelhouse
from wheelhouse.unpacked import Unpacked, forget_unpacked, unpack

AT_ONCE = 2
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@frozen
class Builder:
    """Builds environments from the wheels of `house`; compiles with `run`. `clock` gives UTC."""

    wheelhouse: Wheelhouse
    run: Run
    clock: Callable[[], datetime]

    async def build(
        self, final: Path, lock: Lock, *, interpreter: Interpreter, observe: Observe
    ) -> None:
        """Build the environment of `lock` at `final`. Raises EnvironmentFailed, leaving nothing."""
        try:
            wheels = [self.wheelhouse.get(p.sha256, name=p.name) for p in lock.packages]
            try:
                await self._try(final, lock, wheels, interpreter, observe)
            except Damaged as damaged:
                self._forget(final.parent, wheels, {one.wheel for one in damaged.damages})
                await self._try(final, lock, wheels, interpreter, observe)
        except WheelhouseError as error:
            raise EnvironmentFailed(*error.problems) from error
        except Damaged as damaged:
            raise EnvironmentFailed(*map(_damaged, damaged.damages)) from damaged
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            raise EnvironmentFailed(disk_full(str(error))) from error

    async def prepare(
        self, wheels: Sequence[Wheel], *, interpreter: Interpreter, observe: Observe
    ) -> list[WheelFiles]:
        """Unpack and compile each wheel, where that is new; return what is to be linked."""
        semaphore = asyncio.Semaphore(AT_ONCE)
        done = 0

        async def one(wheel: Wheel) -> tuple[WheelFiles, WheelFiles]:
            nonlocal done
            async with semaphore:
                files = await self._prepare(wheel, interpreter)
            done += 1
            what = wheel.filename
            report_progress(
                observe, "unpack", done=done, total=len(wheels), unit="wheels", what=what
            )
            return files

        pairs = await asyncio.gather(*(one(wheel) for wheel in wheels))
        return [files for pair in pairs for files in pair]

    async def _prepare(
        self, wheel: Wheel, interpreter: Interpreter
    ) -> tuple[WheelFiles, WheelFiles]:
        unpacked = await asyncio.to_thread(unpack, self.wheelhouse, wheel)
        compiler = Compiler(wheelhouse=self.wheelhouse, run=self.run)
        bytecode: Unpacked = await compiler.compiled(
            wheel,
            unpacked,
            interpreter=interpreter,
            site_packages=site_packages_of(interpreter),
        )
        return (
            WheelFiles(name=wheel.name, unpacked=unpacked),
            WheelFiles(name=wheel.name, unpacked=bytecode),
        )

    async def _try(
        self,
        final: Path,
        lock: Lock,
        wheels: Sequence[Wheel],
        interpreter: Interpreter,
        observe: Observe,
    ) -> None:
        files = await self.prepare(wheels, interpreter=interpreter, observe=observe)
        planned = await asyncio.to_thread(plan, files, interpreter=interpreter)
        if planned.clashes:
            raise EnvironmentFailed(*map(_clashing, planned.clashes))
        tag = cache_tag(interpreter)
        names = {wheel.name: f"{wheel.hex_digest}-{tag}" for wheel in wheels}
        site = site_packages_of(interpreter)
        own = await asyncio.to_thread(share, planned, names=names, site=site)
        shared = tuple(sorted({names[link.wheel] for link in own.links}))
        inventory = await asyncio.to_thread(
            self._inventory, final.name, lock, interpreter, wheels, planned, shared
        )
        _ready(final.parent)
        await asyncio.to_thread(
            place_shared,
            final.parent,
            own.links,
            wheels=files,
            names=names,
            interpreter=interpreter,
        )
        with folder_aside(final) as aside:
            await asyncio.to_thread(_fill, aside, own, lock, inventory, interpreter)
        report_progress(observe, "link", done=planned.files, total=planned.files, unit="files")

    def _inventory(
        self,
        key: str,
        lock: Lock,
        interpreter: Interpreter,
        wheels: Sequence[Wheel],
        planned: Plan,
        shared: tuple[str, ...],
    ) -> Inventory:
        return Inventory(
            key=key,
            lock_digest=lock.digest,
            python=interpreter.version,
            soabi=interpreter.soabi,
            platform=platform_of(interpreter),
            installed=tuple(_installed(wheel) for wheel in wheels),
            overlaps=planned.overlaps,
            sourceless=sourceless(planned),
            files=planned.files,
            size_bytes=planned.size_bytes,
            built_at=self.clock(),
            shared=shared,
        )

    def _forget(self, root: Path, wheels: Sequence[Wheel], names: set[str]) -> None:
        for wheel in wheels:
            if wheel.name in names:
                forget_unpacked(self.wheelhouse, wheel)
                forget_shared(root, wheel.hex_digest)


def _ready(store: Path) -> None:
    store.mkdir(parents=True, exist_ok=True)
    spread_below(store)


def _fill(
    aside: Path, planned: Plan, lock: Lock, inventory: Inventory, interpreter: Interpreter
) -> None:
    """Lay out, write what the environment says of itself, make it read-only, flush it to disk."""
    damages = lay_out(aside, planned, interpreter=interpreter)
    if damages:
        raise Damaged(damages)
    for name, content in (
        (LOCK_FILE, lock.text.encode()),
        (FILE, INVENTORY_JSON.dump_json(inventory, indent=1)),
    ):
        write_new(aside / name, content)
    close_folders(aside)
    flush_filesystem(aside)


def _installed(wheel: Wheel) -> Installed:
    origin = wheel.origin
    return Installed(
        name=wheel.name,
        version=wheel.version,
        wheel=wheel.filename,
        sha256=wheel.sha256,
        size_bytes=wheel.size_bytes,
        source="index" if origin.kind == "fetched" else "wheelhouse",
        licence=wheel.licence,
        origin=f"fetched from {origin.index}" if origin.index else origin.kind,
        record_faults=wheel.record_faults,
    )


def _damaged(damage: Damage) -> Problem:
    return Problem(
        code="corrupt-wheel",
        what=f"{damage.path} is not as RECORD says, even freshly unpacked",
        where=damage.wheel,
        mend="check the disk; then `fumehood wheelhouse verify`",
    )


def _clashing(clash: Clash) -> Problem:
    return Problem(
        code="name-collision",
        what=f"{clash.wheel} brings the file {clash.path}, and {clash.what}",
        where=clash.wheel,
        mend=f"ask for another version of {clash.wheel}, or leave out what it clashes with",
    )
