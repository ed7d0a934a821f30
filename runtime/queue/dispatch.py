"""Docket: how accepted work gets to a worker. The store is the truth, Docket only carries.

Whatever Docket loses, `runtime.worker.reconcile` dispatches again; the key keeps one attempt from
being queued twice, and the fencing token keeps it from being published twice.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta

from docket import Docket
from redis.exceptions import RedisError

from runtime.clock import Clock
from runtime.settings import Settings
from runtime.values.records import Job

ATTEMPT_TASK = "fumehood_attempt"
ACTIVATION_TASK = "fumehood_activation"
LONGEST_DELAY_S = 30

log = logging.getLogger("fumehood.dispatch")


def make_docket(settings: Settings) -> Docket:
    """Return the Docket of these settings, not yet open."""
    return Docket(name=settings.docket_name, url=settings.docket_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """Hands work to Docket. Its failures are logged only: the reconciler tries again."""

    docket: Docket
    clock: Clock

    async def attempt(self, job: Job) -> None:
        """Ask for the current attempt of `job` to be run."""
        when = self.clock() + timedelta(seconds=_delay_s(job))
        key = f"attempt:{job.id}:{job.attempt}"
        try:
            await self.docket.add(ATTEMPT_TASK, when=when, key=key)(job.id)
        except (RedisError, OSError):
            log.warning("docket did not take %s; the reconciler will", key, exc_info=True)

    async def activation(self, activation_id: str) -> None:
        """Ask for an activation to be run."""
        key = f"activation:{activation_id}"
        try:
            await self.docket.add(ACTIVATION_TASK, key=key)(activation_id)
        except (RedisError, OSError):
            log.warning("docket did not take %s; the reconciler will", key, exc_info=True)


def _delay_s(job: Job) -> float:
    """Return the backoff before a further attempt: 0.1 s, then 1.1, 3.1, … up to the longest.

    The first attempt does not wait: somebody asked for it just now.
    """
    return 0.0 if job.attempt == 1 else min(2.0 ** (job.attempt - 2) - 0.9, LONGEST_DELAY_S)
