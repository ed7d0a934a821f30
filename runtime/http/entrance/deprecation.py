"""Operations that are on their way out say so: in the description and with each answer.

An operation goes into the table when its successor is there, and out of it with the operation.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime

from frozen.values import frozen
from runtime.access.operations import key_of


@frozen
class Deprecation:
    """Since when nobody should begin to use it, when it may be gone, and what to use instead."""

    since: datetime
    sunset: datetime | None = None
    successor: str = ""

    def fields(self) -> dict[str, str]:
        """Return Deprecation (RFC 9745), Sunset (RFC 8594) and the link to the successor."""
        told = {"Deprecation": f"@{int(self.since.timestamp())}"}
        if self.sunset is not None:
            told["Sunset"] = format_datetime(self.sunset.astimezone(UTC), usegmt=True)
        if self.successor:
            told["Link"] = f'<{self.successor}>; rel="successor-version"'
        return told


DEPRECATED: Mapping[str, Deprecation] = {}
"""By operation, as in the table of operations and scopes: nothing is on its way out yet."""


def deprecation_of(method: str, path: str) -> Deprecation | None:
    """Return what is to be said of an operation."""
    return DEPRECATED.get(key_of(method, path)) if DEPRECATED else None
