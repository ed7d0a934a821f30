"""The parts that an attempt or an activation is made with. Put together in appliance.py."""

from dataclasses import dataclass
from pathlib import Path

from packages.activation import Workshop
from packages.archive import Bundles
from packages.grant import Ceiling
from packages.keeping import Closings
from runtime.artifact_files import ArtifactFiles
from runtime.bell import Bell
from runtime.blobs.blob import Blobs
from runtime.cancellations import Cancellations
from runtime.clock import Clock
from runtime.dispatch import Dispatch
from runtime.events import EventLog
from runtime.records import Worker
from runtime.settings import Settings
from runtime.store.store import Store
from sandbox.command import Level, Run
from wheelhouse.judges.pool import Judges
from wheelhouse.store import Wheelhouse


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that a story of the runtime needs, handed in once."""

    settings: Settings
    clock: Clock
    store: Store
    blobs: Blobs
    bell: Bell
    closings: Closings
    events: EventLog
    artifacts: ArtifactFiles
    cancellations: Cancellations
    dispatch: Dispatch
    bundles: Bundles
    wheelhouse: Wheelhouse
    judges: Judges
    workshop: Workshop
    run: Run
    ceiling: Ceiling
    least: Level
    worker: Worker
    jobs_folder: Path
