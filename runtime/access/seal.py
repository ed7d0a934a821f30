"""The seal of the audit log: its key is read when there is something to sign."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from runtime.values.records import AuditHead
from wheelhouse.frozen import frozen


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
