"""What the measurements of environments share: one house, one sandbox, fresh folders."""

import os
from datetime import UTC, datetime
from pathlib import Path

from packages.bundle.manifest import Manifest
from packages.bundle.requirements import parse
from packages.environment.building import Builder
from packages.environment.environment import Environment, Environments
from packages.index.index import Index
from packages.interpreters import running
from packages.lock.grant import Ceiling, GateState, decide
from packages.lock.lock import Lock
from packages.lock.locker import Locker
from sandbox.sandbox import Sandbox
from wheelhouse.store import Wheelhouse


class Bench:
    """The parts, put together once."""

    def __init__(self, home: Path, sandbox: Sandbox, rounds: int):
        self.home, self.sandbox, self.rounds = home, sandbox, rounds
        self.wheelhouse = Wheelhouse(home / "wheelhouse")
        bundle = os.environ.get("SSL_CERT_FILE")
        index = Index(ca_bundle=Path(bundle) if bundle else None)
        self.locker = Locker(
            wheelhouse=self.wheelhouse, clock=lambda: datetime.now(UTC), index=index
        )
        self.python = running()
        self.rooms = home / "rounds" / str(os.getpid())
        self.count = 0

    def fresh(self) -> Path:
        """Return a folder that nobody has used."""
        self.count += 1
        folder = self.rooms / str(self.count)
        folder.mkdir(parents=True)
        return folder

    def environments(self) -> Environments:
        """Return an empty store of environments on the shared house."""
        builder = Builder(
            wheelhouse=self.wheelhouse, run=self.sandbox.run, clock=lambda: datetime.now(UTC)
        )
        return Environments(root=self.fresh(), builder=builder)

    async def lock(self, text: str) -> Lock:
        """Return the lock of `text`, fetching what the house lacks."""
        wanted, _ = parse({"requirements.txt": text.encode()})
        manifest = Manifest.model_validate({"schema": 1, "name": "bench", "version": "1"})
        gate = GateState(is_open=True, who="bench", reason="measurement")
        grant = decide(manifest, ceiling=Ceiling(), gate=gate)
        return (await self.locker.lock(wanted, interpreter=self.python, grant=grant)).lock

    async def warm(self, lock: Lock) -> Environment:
        """Unpack and compile what `lock` holds, by building it once."""
        return await self.environments().ensure(lock, interpreter=self.python)

    def flat(self, lock: Lock) -> tuple[Path, Path]:
        """Return a flat folder of the wheels of `lock`, and a hashed requirements file."""
        folder = self.fresh()
        for package in lock.packages:
            wheel = self.wheelhouse.get(package.sha256, name=package.name)
            os.link(self.wheelhouse.path(wheel), folder / package.wheel)
        listing = folder / "requirements.txt"
        lines = (f"{p.name}=={p.version} --hash={p.sha256}\n" for p in lock.packages)
        listing.write_text("".join(lines))
        return folder, listing
