"""The services of an appliance: what its operations and stories may ask for.

Apart from `runtime.http.context`, which needs FastAPI: `fumehood try` has all of these and no HTTP.
"""

import asyncio

from frozen.values import frozen
from packages.archive import Bundles
from packages.lock.gate_watch import Closings
from packages.preparation import Workshop
from runtime.access.access import Access
from runtime.activations.intake import Intake
from runtime.artifact.artifacts import Artifacts
from runtime.blobs.blob import Blobs
from runtime.gate.steady import GateClock
from runtime.jobs.attempts.events import EventLog
from runtime.jobs.bulk import Bulk
from runtime.jobs.orders.submission import Submissions
from runtime.jobs.questions import Questions
from runtime.jobs.retention.retention import Retention
from runtime.jobs.schedules import Schedules
from runtime.jobs.webhooks.deliveries import Deliveries
from runtime.queue.notifier import Notifier
from runtime.settings.settings import Settings
from runtime.store.databases.store import Store
from runtime.telemetry.meter import Meter
from runtime.values.clock import Clock
from runtime.worker.readiness import Readiness
from wheelhouse.judges.pool import Judges
from wheelhouse.store import Wheelhouse


@frozen
class Services:
    """What there is to ask for. `stopping` is set when open streams shall end."""

    settings: Settings
    clock: Clock
    store: Store
    closings: Closings
    notifier: Notifier
    events: EventLog
    artifacts: Artifacts
    blobs: Blobs
    bundles: Bundles
    wheelhouse: Wheelhouse
    judges: Judges
    workshop: Workshop
    submissions: Submissions
    schedules: Schedules
    intake: Intake
    access: Access
    stopping: asyncio.Event
    # around the job
    bulk: Bulk
    retention: Retention
    deliveries: Deliveries
    questions: Questions
    # whether it can work
    readiness: Readiness
    gate_clock: GateClock
    # seen from outside
    meter: Meter
