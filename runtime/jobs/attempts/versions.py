"""What is known of the versions that jobs run: read once, and kept by activation.

Nothing of an activation that succeeded ever changes: its bundle, its lock and its environment are
known by digest. Reading them for each job cost as much as the run itself.
"""

import asyncio
from collections import OrderedDict

from frozen.values import changed, frozen
from packages.archive import Bundles
from packages.bundle.bundle import Bundle
from packages.environment.environment import Environment, Environments
from packages.interpreters import as_here
from packages.lock.lock import Lock, read_lock
from runtime.activations.prepared import interpreter_of
from runtime.activations.supply import SharedHomeSupply, Supply
from runtime.values.records import Activation, PreparedRecord
from sandbox.command import Interpreter, Observe

MOST = 256
"""How many versions are kept; a big one has a listing of some 10,000 files."""


@frozen
class Version:
    """An activated version, as its jobs need it. `environment` is what it was when last seen."""

    activation: Activation
    prepared: PreparedRecord
    bundle: Bundle
    lock: Lock
    interpreter: Interpreter
    environment: Environment | None = None


class Versions:
    """The versions that were run last, by the id of their activation."""

    def __init__(
        self,
        *,
        bundles: Bundles,
        environments: Environments,
        supply: Supply | None = None,
    ) -> None:
        self._bundles = bundles
        self._environments = environments
        self._supply = supply or SharedHomeSupply()
        self._kept: OrderedDict[str, Version] = OrderedDict()

    def activations(self) -> dict[str, Activation]:
        """Return the activations that need not be read again."""
        return {key: version.activation for key, version in self._kept.items()}

    async def ready(
        self, activation: Activation, *, observe: Observe
    ) -> tuple[Version, Environment]:
        """Return a version and its environment, which is built anew where it is gone.

        Raises EnvironmentFailed, LockRefused, BundleNotFound, BlobMissing or NoInterpreter.
        """
        version = self._kept.get(activation.id)
        if version is not None and not version.bundle.folder.is_dir():
            version = None  # it went from a home that is full
        seen = version.environment if version else None
        environment = self._environments.again(seen) if seen else None
        if version is None or environment is None:
            await self._supply.take(activation)
            version = version or await asyncio.to_thread(self._read, activation)
            environment = await self._environments.ensure(
                version.lock,
                interpreter=version.interpreter,
                requested=version.bundle.requirements.names,
                observe=observe,
            )
        version = changed(version, environment=environment)
        self._keep(version)
        return version, environment

    def _read(self, activation: Activation) -> Version:
        prepared = activation.prepared
        if prepared is None:
            raise RuntimeError(f"activation {activation.id} prepared nothing")
        return Version(
            activation=activation,
            prepared=prepared,
            bundle=self._bundles.open(activation.digest),
            lock=read_lock(prepared.lock),
            interpreter=as_here(interpreter_of(prepared)),
        )

    def _keep(self, version: Version) -> None:
        self._kept[version.activation.id] = version
        self._kept.move_to_end(version.activation.id)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
