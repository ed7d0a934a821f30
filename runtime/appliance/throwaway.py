"""The home that `fumehood try` throws away: its folders, and the sandbox that opens there.

It needs little of the appliance, so that a sandbox can open while the rest is imported.
"""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from frozen.values import frozen
from runtime.appliance.sandboxes import OpeningSandbox, sandbox_begun_in
from runtime.home.folders import LEVEL_FILE, make_home, writable
from runtime.home.guard import guard_home
from runtime.settings.settings import Settings

SHARED = ("wheelhouse", "environments")
CELLS = "cells"
"""Where the user's own home keeps what is made once for all cells, as an appliance has it there."""


@frozen
class Throwaway:
    """A home for one try. `level_file` is the one of the user's own home."""

    settings: Settings
    level_file: Path
    sandbox: OpeningSandbox


@asynccontextmanager
async def throwaway(settings: Settings) -> AsyncGenerator[Throwaway]:
    """Offer a home that is gone afterwards, with wheels and environments of the one in `settings`.

    Raises SettingsRefused.
    """
    # Not /tmp, which is often memory and small: outputs and blobs lie here (file-hierarchy(7)).
    with tempfile.TemporaryDirectory(prefix="fumehood-try-", dir="/var/tmp") as folder:
        home = Path(folder)
        _share(settings.home, home=home)
        make_home(home)
        alone: dict[str, Any] = {"home": home, "docket_url": "memory://try"}
        alone |= {"database_url": "", "blobs_url": ""}
        async with sandbox_begun_in(home, prepared=settings.home / CELLS) as sandbox:
            yield Throwaway(
                settings=settings.model_copy(update=alone),
                level_file=settings.home / LEVEL_FILE,
                sandbox=sandbox,
            )


def _share(own: Path, *, home: Path) -> None:
    """Let `home` have what the user's own home keeps of wheels and environments."""
    with writable(own):
        guard_home(own, may_be_crossed=True)
        (own / CELLS).mkdir(exist_ok=True)
        (own / CELLS).chmod(0o755)  # whatever our umask: the home around it is shut
    for name in SHARED:
        shared = own / name
        with writable(own):
            shared.mkdir(parents=True, exist_ok=True)
            shared.touch()  # says at once where nothing could be kept, as on a read-only disk
        (home / name).symlink_to(shared.resolve())
