"""Receives and prepares the bundle of a try while the appliance is still imported.

To import the appliance is half a second's work for one processor; the judge, uv and the cells that
are waited for here are other processes. The activation takes what came of it as its own.
"""

import asyncio
from pathlib import Path

from packages.archive import Bundles, receive_file
from packages.bundle.bundle import Bundle
from packages.lock.grant import CLOSED_BY_DEFAULT, GateState
from packages.preparation import Prepare, Prepared, prepare
from runtime.appliance.throwaway import Throwaway
from runtime.home import factories
from runtime.home.workshop import least_of, workshop_for
from runtime.settings.settings import Settings
from sandbox.command import Observe, Report
from sandbox.walls import shown_level
from wheelhouse.judges.pool import Judges


class Ahead:
    """A preparation with the gate of a new home, which may be over before anybody asks for it."""

    def __init__(self, *, judges: Judges) -> None:
        self._judges = judges
        self._reports: list[Report] = []
        self._digest = ""
        self._made: Prepared | Exception | None = None

    async def run(self, archive: Path, place: Throwaway, *, is_gate_open: bool) -> None:
        """Receive the bundle in `archive` and prepare it; raise nothing.

        What is wrong before there is a bundle is met, and told, by who receives it in earnest.
        For an open gate there is nothing to do: it will be opened by the appliance.
        """
        if is_gate_open:
            return
        try:
            bundle = await self._receive(archive, place.settings)
            self._digest = bundle.digest
            self._made = await self._prepare(bundle, place)
        except Exception as fault:
            self._made = fault

    async def prepare(
        self, bundle: Bundle, *, gate: GateState, observe: Observe, otherwise: Prepare
    ) -> Prepared:
        """Return what came of it, or raise that; ask `otherwise` where something else is asked."""
        if self._made is None or self._digest != bundle.digest or gate != CLOSED_BY_DEFAULT:
            return await otherwise(bundle, gate=gate, observe=observe)
        for report in self._reports:
            observe(report)
        if isinstance(self._made, Exception):
            raise self._made
        return self._made

    async def _receive(self, archive: Path, settings: Settings) -> Bundle:
        bundles = Bundles(settings.home / "bundles", judges=self._judges)
        ceilings = factories.ceilings_of(settings)
        return await self._judges.beside(receive_file, archive, bundles=bundles, ceilings=ceilings)

    async def _prepare(self, bundle: Bundle, place: Throwaway) -> Prepared:
        sandbox = await place.sandbox
        settings = place.settings
        shown = await asyncio.to_thread(shown_level.note, place.level_file, sandbox.level)
        wheelhouse = factories.wheelhouse_of(settings.home, judges=self._judges)
        run = sandbox.run
        workshop = workshop_for(
            settings,
            wheelhouse=wheelhouse,
            locker=factories.locker_of(settings, wheelhouse=wheelhouse),
            environments=factories.environments_of(settings.home, wheelhouse=wheelhouse, run=run),
            run=run,
            least=least_of(settings, shown=shown),
        )
        return await prepare(
            bundle, workshop=workshop, gate=CLOSED_BY_DEFAULT, observe=self._reports.append
        )
