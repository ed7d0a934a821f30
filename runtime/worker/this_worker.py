"""Who this process is, among the workers of an appliance."""

import os
import socket
from importlib.metadata import version as distribution_version

from packages.interpreters import platform_of, running
from runtime.clock import utc_now
from runtime.ids import new_id
from runtime.settings import Settings
from runtime.values.records import Worker


def this_worker(settings: Settings) -> Worker:
    """Return this process as a worker that begins now."""
    now = utc_now()
    return Worker(
        id=f"{socket.gethostname()}-{os.getpid()}-{new_id()[-8:]}",
        host=socket.gethostname(),
        version=distribution_version("fumehood"),
        slots=settings.slots,
        started_at=now,
        seen_at=now,
        platform=platform_of(running()),
    )
