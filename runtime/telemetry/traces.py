"""Traces: what a job's spans are, for those who send them and for those who do not.

One trace goes from the submission to what was published, over processes: the job keeps the
`traceparent` of its submission (W3C Trace Context), and whoever runs it goes on from there. Nothing
of OpenTelemetry's SDK is imported unless the setting `telemetry.traces` is on.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Protocol

from runtime.faults.errors import SettingsRefused
from runtime.settings.settings import Settings
from runtime.values.records import Claim, Job
from runtime.values.states import State

OTLP = "runtime.telemetry.otlp"
"""Imported where traces are on: 0.2 s, and a distribution that may not be there."""


class Traces(Protocol):
    """Something that is told what a job goes through."""

    def submission(self, job: Job) -> AbstractContextManager[Job]:
        """Offer `job` with the trace that goes on from its submission, while it is stored."""
        ...

    def attempt(self, claim: Claim) -> AbstractContextManager[None]:
        """Tell of the wait that is over, and of the attempt while it lasts."""
        ...

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Tell of a part of the attempt that this is called in, while it lasts."""
        ...

    def ended(self, state: State) -> None:
        """Say on the attempt that this is called in how its job ended."""
        ...

    def close(self) -> None:
        """Send what is not sent yet, for a moment."""
        ...


class NoTraces:
    """Tells nobody."""

    def submission(self, job: Job) -> AbstractContextManager[Job]:
        """Offer `job` as it is."""
        return nullcontext(job)

    def attempt(self, claim: Claim) -> AbstractContextManager[None]:
        """Do nothing about it."""
        return nullcontext()

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Do nothing about it."""
        return nullcontext()

    def ended(self, state: State) -> None:
        """Do nothing about it."""

    def close(self) -> None:
        """Have nothing to send."""


def traces_of(settings: Settings, *, worker: str) -> Traces:
    """Return what tells of this process's jobs. Raises SettingsRefused where the extra is absent.

    >>> traces_of(Settings(), worker="w").phase("run")  # doctest: +ELLIPSIS
    <contextlib.nullcontext object at 0x...>
    """
    if not settings.telemetry.traces:
        return NoTraces()
    try:
        otlp_traces: Callable[..., Traces] = import_module(OTLP).otlp_traces
    except ImportError as error:
        raise SettingsRefused(
            f"traces cannot be sent: {error}",
            where="telemetry.traces",
            mend="install the extra (`fumehood[otel]`), or set telemetry.traces to false",
        ) from error
    return otlp_traces(settings.telemetry, worker=worker)
