"""The room's front: all that the doors ask about who may do what."""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from frozen.values import frozen
from runtime.access.audit_copy import AuditCopy
from runtime.access.identification import Identification
from runtime.access.login import Links, Login
from runtime.access.rates import Rates
from runtime.access.wrong_tokens import WrongTokens
from runtime.settings.settings import Settings
from runtime.store.databases.store import Store
from runtime.values.clock import Clock
from runtime.values.records import AuditHead
from sandbox.command import Level

if TYPE_CHECKING:
    from runtime.access.oidc import Oidc


@frozen
class Seal:
    """Signs the audit log with the key of `home`, which is made if there is none."""

    home: Path

    def sign(self, connection: Connection, at: datetime) -> AuditHead | None:
        """Sign the last entry, unless it is signed already. Raises SettingsRefused."""
        # Here, since a `fumehood try` signs nothing: cryptography is 30 ms of imports.
        from runtime.access.audit_seal import AuditSeal  # noqa: PLC0415
        from runtime.access.signing_key import signing_key  # noqa: PLC0415

        return AuditSeal(home=self.home, key=signing_key(self.home)).sign(connection, at)


@frozen
class Access:
    """What the doors ask. `owners` are the users whom the home's socket admits as admins."""

    identification: Identification
    login: Login
    wrong_tokens: WrongTokens
    rates: Rates
    owners: frozenset[int]
    names: frozenset[str]
    is_open_to_read: bool
    is_open_to_scrape: bool
    seal: Seal
    oidc: "Oidc | None"
    copy: AuditCopy | None


def access_of(settings: Settings, *, store: Store, clock: Clock, owners: frozenset[int]) -> Access:
    """Return the access of these settings."""
    idle = timedelta(seconds=settings.session_idle_s)
    oidc = _oidc_of(settings, clock=clock)
    return Access(
        identification=Identification(store=store, clock=clock, idle=idle, oidc=oidc),
        login=Login(
            store=store,
            clock=clock,
            links=Links(monotonic=time.monotonic),
            idle=idle,
            session_length=timedelta(seconds=settings.session_s),
        ),
        wrong_tokens=WrongTokens(
            monotonic=time.monotonic, most_of_one=settings.wrong_tokens_per_minute
        ),
        rates=Rates(monotonic=time.monotonic, most=settings.requests_per_minute),
        owners=owners,
        names=frozenset(name.lower() for name in (settings.host, *settings.names)),
        is_open_to_read=settings.anonymous_reads,
        is_open_to_scrape=settings.telemetry.metrics == "open",
        seal=Seal(home=settings.home),
        oidc=oidc,
        copy=AuditCopy(store=store, file=settings.audit_copy, syslog=settings.audit_syslog)
        if settings.audit_copy or settings.audit_syslog
        else None,
    )


def _oidc_of(settings: Settings, *, clock: Clock) -> "Oidc | None":
    """Return what asks the OpenID provider; None, and nothing imported (0.1 s), without one."""
    if not settings.oidc.issuer:
        return None
    from runtime.access.oidc import oidc_of  # noqa: PLC0415

    return oidc_of(settings.oidc, clock=clock)


def owners_at(level: Level) -> frozenset[int]:
    """Return the users whom the home's socket admits: its owner and root.

    At level `process` a cell is the owner to the kernel, and reaches the socket: there it
    admits nobody.
    """
    return frozenset() if level is Level.PROCESS else frozenset({0, os.geteuid()})
