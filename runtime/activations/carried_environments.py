"""Carries environments that were built once to hosts that lack them, and the wheels too.

The digest of what is carried is in the record of the activation, so whoever changes the bucket
changes nothing: what has other bytes is left, told once, and built from its wheels instead.
"""

import logging
import tempfile
from dataclasses import field, replace
from pathlib import Path

from frozen.values import frozen
from packages.environment.carried import most_bytes
from packages.environment.environment import Environments, environment_key
from packages.environment.inventory import INVENTORY_JSON, Inventory
from packages.errors import CarriedRefused, NoInterpreter
from packages.interpreters import as_here
from packages.lock.lock import read_lock
from runtime.activations.prepared import interpreter_of
from runtime.blobs.depot import Depot, Kind
from runtime.faults.errors import BlobMissing
from runtime.values.records import PreparedRecord
from sandbox.command import Interpreter

log = logging.getLogger("fumehood.supply")


@frozen
class CarriedEnvironments:
    """Puts environments into a depot, and lays out here what comes from there."""

    depot: Depot
    environments: Environments
    _refused: set[str] = field(default_factory=set[str])

    async def give(self, prepared: PreparedRecord) -> PreparedRecord:
        """Let others have the environment of an activation; return its record, which says where."""
        if not read_lock(prepared.lock).packages:
            return prepared
        with self._aside() as aside:
            packed = Path(aside) / "environment.tar"
            digest = await self.environments.pack(prepared.environment_key, to=packed)
            await self.depot.put_once(Kind.ENVIRONMENT, digest.removeprefix("sha256:"), packed)
        return replace(prepared, environment_digest=digest)

    async def take(self, prepared: PreparedRecord) -> bool:
        """Return whether the environment of an activation is here, brought here where it was not.

        False where it is to be built from its wheels: none was put there, it is no longer there,
        it is another, or this host has no Python for it.
        """
        digest, lock = prepared.environment_digest, read_lock(prepared.lock)
        try:
            interpreter = as_here(interpreter_of(prepared))
        except NoInterpreter:
            return False
        if self.environments.is_there(environment_key(lock, interpreter)):
            return True
        if digest is None or digest in self._refused:
            return False
        try:
            await self._bring(prepared, digest=digest, interpreter=interpreter)
        except (BlobMissing, CarriedRefused) as error:
            self._refused.add(digest)
            log.warning("the environment %s is built from its wheels: %s", digest, error)
            return False
        return True

    async def _bring(
        self, prepared: PreparedRecord, *, digest: str, interpreter: Interpreter
    ) -> None:
        inventory = _as_built(prepared)
        with self._aside() as aside:
            packed = Path(aside) / "environment.tar"
            await self.depot.fetch(
                Kind.ENVIRONMENT,
                digest.removeprefix("sha256:"),
                into=packed,
                sha256=digest,
                most_bytes=most_bytes(inventory),
            )
            await self.environments.adopt(
                packed,
                read_lock(prepared.lock),
                interpreter=interpreter,
                inventory=inventory,
            )

    def _aside(self) -> tempfile.TemporaryDirectory[str]:
        aside = self.environments.aside  # what is left there by somebody killed is swept
        aside.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=".carried-", dir=aside)


def _as_built(prepared: PreparedRecord) -> Inventory:
    """Return the inventory of the environment, of which no version has asked for anything."""
    told = INVENTORY_JSON.validate_python(dict(prepared.inventory))
    installed = (replace(one, is_requested=None) for one in told.installed)
    return replace(told, installed=tuple(installed))
