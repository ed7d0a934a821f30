"""Receives and compiles the bundle of a try while the appliance is still imported.

To import the appliance is half a second's work for one processor; a judge and a cell, which this
waits for, are other processes. The try finds the bundle where it would have put it.
"""

import asyncio
from contextlib import suppress
from pathlib import Path

from packages.archive import Bundles, receive
from packages.bundle.bundle import Bundle
from packages.environment.bundle_bytecode import with_bytecode
from packages.interpreters import discover
from runtime.appliance.throwaway import Throwaway
from runtime.home.factories import ceilings_of
from runtime.settings.settings import Settings
from wheelhouse.judges.pool import Judges


async def receive_ahead(archive: Path, *, place: Throwaway, judges: Judges) -> None:
    """Receive the bundle in `archive` and compile it, as far as that goes; raise nothing.

    Whatever is wrong, with the bundle or with us, the try meets and tells in its turn.
    """
    with suppress(Exception):
        bundle = await judges.beside(_receive, archive, settings=place.settings, judges=judges)
        python = await asyncio.to_thread(discover, bundle.manifest.requires_python)
        await with_bytecode(bundle, interpreter=python, run=(await place.sandbox).run)


def _receive(archive: Path, *, settings: Settings, judges: Judges) -> Bundle:
    bundles = Bundles(settings.home / "bundles", judges=judges)
    with archive.open("rb") as source:
        return receive(source, bundles=bundles, ceilings=ceilings_of(settings))
