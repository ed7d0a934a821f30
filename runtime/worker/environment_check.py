"""The story of a worker's start: is every environment what was built? The damaged are rebuilt.

It goes on beside the first jobs: sizes are compared, which takes a few hundredths of a second
for an environment of thousands of files. `fumehood env verify` compares every byte.
"""

import logging
from datetime import datetime

from packages.environment.environment import Environments
from packages.environment.maintenance import Repaired, repair
from packages.interpreters import every
from runtime.store.access import audit
from runtime.store.databases.store import Store
from runtime.values.clock import Clock
from sandbox.command import Json

MOST_TOLD = 10

log = logging.getLogger("fumehood.environments")


async def check_environments(
    environments: Environments, *, store: Store, clock: Clock, who: str
) -> None:
    """Look at every environment of this host once; mend and report what is damaged."""
    try:
        for one in await repair(environments, interpreters=every):
            await _report(one, store=store, at=clock(), who=who)
    except Exception:
        log.exception("the environments could not be checked")


async def _report(repaired: Repaired, *, store: Store, at: datetime, who: str) -> None:
    ended = "was built anew" if repaired.is_rebuilt else "was removed: it cannot be built here"
    told: list[Json] = [f"{problem.where}: {problem.what}" for problem in repaired.problems]
    log.warning("the environment %s was damaged and %s: %s", repaired.key, ended, told[0])
    await store.run(
        audit.append,
        at=at,
        who=who,
        action="environment.repair",
        subject=repaired.key,
        details={
            "is_rebuilt": repaired.is_rebuilt,
            "problems": len(told),
            "told": told[:MOST_TOLD],
        },
    )
