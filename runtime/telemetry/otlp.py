"""Sends spans to a collector by OTLP over HTTP. Only `runtime.telemetry.traces` imports this.

The spans of a job: `submit` (a child of what the caller sent), below it `dispatch`, which is the
wait, and `attempt` with `environment`, `cell`, `collect`, `hook` and `publish`.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version as distribution_version

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from frozen.values import frozen
from runtime.settings.setting_types import TelemetrySettings
from runtime.values.records import Claim, Job
from runtime.values.states import State

PARENT = "traceparent"
SEND_WITHIN_S = 5.0
FLUSH_MS = 3000
NAMES = {"extract": "cell", "on_after_extract": "hook"}
"""What a phase is called as a span, where its own name says less to who sees all services."""


@frozen
class OtlpTraces:
    """Tells a collector. A provider of our own: nothing else in the process uses it."""

    provider: TracerProvider
    tracer: Tracer

    @contextmanager
    def submission(self, job: Job) -> Generator[Job]:
        """Offer `job` with the span of its submission as the parent of all that follows."""
        with self.tracer.start_as_current_span(
            "submit",
            context=_context_of(job),
            kind=SpanKind.PRODUCER,
            start_time=_nanoseconds(job.submitted_at),
            attributes=_attributes(job),
        ):
            carrier: dict[str, str] = {}
            TraceContextTextMapPropagator().inject(carrier)
            request = replace(job.request, traceparent=carrier.get(PARENT, ""))
            yield replace(job, request=request)

    @contextmanager
    def attempt(self, claim: Claim) -> Generator[None]:
        """Tell of the wait that is over, and of the attempt while it lasts."""
        job = claim.job
        context, told = _context_of(job), _attributes(job) | {"fumehood.worker": job.worker or ""}
        started_at = job.started_at or job.queued_at
        wait = self.tracer.start_span(
            "dispatch",
            context=context,
            start_time=_nanoseconds(min(max(job.queued_at, job.due_at), started_at)),
            attributes=told,
        )
        wait.end(end_time=_nanoseconds(started_at))
        with self.tracer.start_as_current_span(
            "attempt", context=context, kind=SpanKind.CONSUMER, attributes=told
        ):
            yield

    @contextmanager
    def phase(self, name: str) -> Generator[None]:
        """Tell of a part of the attempt, with what is told of the attempt itself."""
        told: Mapping[str, str | int] = getattr(trace.get_current_span(), "attributes", None) or {}
        with self.tracer.start_as_current_span(NAMES.get(name, name), attributes=dict(told)):
            yield

    def ended(self, state: State) -> None:
        """Say on the attempt how its job ended; a failure of the package is one of the span."""
        span = trace.get_current_span()
        span.set_attribute("fumehood.state", state.value)
        if state is State.FAILED:
            span.set_status(StatusCode.ERROR)

    def close(self) -> None:
        """Send what is not sent yet, for a moment; a collector that is away costs no more."""
        self.provider.force_flush(FLUSH_MS)
        self.provider.shutdown()


def otlp_traces(settings: TelemetrySettings, *, worker: str) -> OtlpTraces:
    """Return what tells the collector of these settings."""
    resource = Resource.create(
        {
            "service.name": "fumehood",
            "service.version": distribution_version("fumehood"),
            "service.instance.id": worker,
        }
    )
    provider = TracerProvider(
        resource=resource,
        sampler=ParentBased(TraceIdRatioBased(settings.traces_ratio)),
        shutdown_on_exit=False,
    )
    headers = {name: one.get_secret_value() for name, one in settings.traces_headers.items()}
    exporter = OTLPSpanExporter(
        endpoint=settings.traces_url, headers=headers, timeout=SEND_WITHIN_S
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    if settings.docket_spans:
        trace.set_tracer_provider(provider)  # Docket asks the process's own, and no other
    return OtlpTraces(provider=provider, tracer=provider.get_tracer("fumehood"))


def _context_of(job: Job) -> Context:
    """Return where the trace of `job` goes on from; a new one where its caller was in none."""
    return TraceContextTextMapPropagator().extract({PARENT: job.request.traceparent}, Context())


def _attributes(job: Job) -> dict[str, str | int]:
    return {
        "fumehood.job": job.id,
        "fumehood.attempt": job.attempt,
        "fumehood.package": job.package,
        "fumehood.version": job.version,
    }


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1000
