"""Environments that are built, counted as they are."""

from dataclasses import fields
from pathlib import Path

from frozen.values import frozen
from packages.environment.building import Builder
from packages.lock.lock import Lock
from runtime.telemetry.tally import Tally
from sandbox.command import Interpreter, Observe


@frozen
class CountedBuilder(Builder):
    """Builds as a Builder does, and counts what came of it."""

    tally: Tally

    async def build(
        self, final: Path, lock: Lock, *, interpreter: Interpreter, observe: Observe
    ) -> None:
        """Build the environment of `lock` at `final`. Raises EnvironmentFailed."""
        try:
            await Builder.build(self, final, lock, interpreter=interpreter, observe=observe)
        except Exception:
            self.tally.count("env_builds", result="failed")
            raise
        self.tally.count("env_builds", result="built")


def counted_builder(builder: Builder, *, tally: Tally) -> CountedBuilder:
    """Return `builder`, counted."""
    own = {one.name: getattr(builder, one.name) for one in fields(builder)}
    return CountedBuilder(**own, tally=tally)
