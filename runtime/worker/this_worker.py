"""Who this process is, among the workers of an appliance."""

import os
import socket
from collections.abc import Iterable
from importlib.metadata import version as distribution_version

from packages.interpreters import abi_of, every, platform_of, running
from runtime.home.sole_use import id_of
from runtime.settings.settings import Settings
from runtime.values.clock import utc_now
from runtime.values.ids import new_id
from runtime.values.records import Worker
from runtime.values.when.line import ANY_PYTHON, as_words
from sandbox.command import Level


def this_worker(settings: Settings, *, level: Level, is_serving: bool) -> Worker:
    """Return this process as a worker that begins now; blocks while the Pythons are asked."""
    now = utc_now()
    return Worker(
        id=f"{socket.gethostname()}-{os.getpid()}-{new_id()[-8:]}",
        host=socket.gethostname(),
        version=distribution_version("fumehood"),
        slots=settings.slots,
        started_at=now,
        seen_at=now,
        platform=platform_of(running()),
        offers=as_words((*_pythons(settings), *settings.labels)),
        level=level.value,
        serves=id_of(settings.home) if is_serving else "",
    )


def _pythons(settings: Settings) -> Iterable[str]:
    """Return the Pythons of this host, each of which is started once to ask it."""
    if settings.is_one_process:
        return (ANY_PYTHON,)  # what is activated here runs here
    return (abi_of(one) for one in every())
