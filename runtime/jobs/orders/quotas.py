"""Quotas of packages and principals: measured from time to time, asked for each order.

An order costs no look into the store for it; who sends many in a minute may get a few more in than
the quota says.
"""

from dataclasses import dataclass, field

from runtime.faults.errors import QuotaExceeded
from runtime.store.databases.store import Store
from runtime.store.retention import policies
from runtime.values.around.retention import Quota, RetentionSettings, over_quota


@dataclass(slots=True, kw_only=True)
class Quotas:
    """The quotas in force, and how much of each was used when somebody last looked."""

    store: Store
    settings: RetentionSettings
    _used: dict[Quota, tuple[int, int]] = field(default_factory=dict[Quota, tuple[int, int]])

    async def turn(self) -> bool:
        """Look how much of each quota is used."""
        policy = await self.store.read(policies.read)
        quotas = (*self.settings.quotas, *policy.quotas)
        self._used = await self.store.read(policies.used, quotas=quotas) if quotas else {}
        return False

    def refuse_beyond(self, *, package: str, principal: str) -> None:
        """Raise QuotaExceeded where an order would go beyond what its package or sender may."""
        if not self._used:
            return
        problems = over_quota(self._used, package=package, principal=principal, used=self._used)
        if problems:
            raise QuotaExceeded(problems=problems, retry_after_s=60)
