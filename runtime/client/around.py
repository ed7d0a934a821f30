"""What is asked around the job: lists and presets, many at once, batches, retention, webhooks.

As `runtime.client.operations`: each function returns a value that a Client asks.

>>> list_jobs(state="failed", labels=["customer=acme"]).query
{'state': 'failed', 'label': ['customer=acme']}
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from runtime.client.calls import Call, Content, given, path_at
from runtime.client.views import JobDetail, JobView, PageOf, State
from runtime.client.views_around import (
    BatchView,
    BulkView,
    DeliveryView,
    PinView,
    PresetView,
    PromptView,
    RetentionView,
    SecretView,
    WebhookView,
)


def list_jobs(
    *,
    state: State | str | None = None,
    package: str | None = None,
    version: str | None = None,
    principal: str | None = None,
    worker: str | None = None,
    batch: str | None = None,
    error: str | None = None,
    labels: Sequence[str] = (),
    since: str | None = None,
    until: str | None = None,
    text: str | None = None,
    preset: str | None = None,
) -> Call[PageOf[JobView]]:
    """List jobs that meet all conditions, the last submitted first."""
    asked: dict[str, str | list[str] | None] = {
        "state": state,
        "package": package,
        "version": version,
        "principal": principal,
        "worker": worker,
        "batch": batch,
        "error": error,
        "label": list(labels) or None,
        "since": since,
        "until": until,
        "text": text,
        "preset": preset,
    }
    return Call(method="GET", path="/v1/jobs", query=given(asked))


def list_presets() -> Call[PageOf[PresetView]]:
    """List the filters that one has saved."""
    return Call(method="GET", path="/v1/presets")


def save_preset(preset_name: str, *, wanted: Mapping[str, Any] | None = None) -> Call[PresetView]:
    """Save a filter under a name."""
    place = path_at("/v1/presets/{}", preset_name)
    return Call(method="PUT", path=place, body=dict(wanted or {}))


def remove_preset(preset_name: str) -> Call[None]:
    """Forget a preset."""
    return Call(method="DELETE", path=path_at("/v1/presets/{}", preset_name))


def submit_many(content: Content, *, mode: Literal["each", "all"] = "each") -> Call[str]:
    """Submit an order for each line of JSON; the answer has a line for each."""
    headers = {"Content-Type": "application/x-ndjson"}
    return Call(
        method="POST",
        path="/v1/submissions",
        query={"mode": mode},
        content=content,
        headers=headers,
        answer="text",
    )


def begin_bulk(
    act: str,
    *,
    wanted: Mapping[str, Any] | None = None,
    reason: str = "",
    is_dry_run: bool = False,
    count: int | None = None,
    is_everything: bool = False,
) -> Call[BulkView]:
    """Cancel, retry or delete every job that a filter means."""
    order = {
        "act": act,
        "wanted": dict(wanted or {}),
        "reason": reason,
        "is_dry_run": is_dry_run,
        "count": count,
        "is_everything": is_everything,
    }
    return Call(method="POST", path="/v1/bulk", body=order)


def list_bulk() -> Call[PageOf[BulkView]]:
    """List bulk operations, the last begun first."""
    return Call(method="GET", path="/v1/bulk")


def get_bulk(operation_id: str) -> Call[BulkView]:
    """Ask how far a bulk operation has come."""
    return Call(method="GET", path=path_at("/v1/bulk/{}", operation_id))


def stop_bulk(operation_id: str) -> Call[BulkView]:
    """Stop a bulk operation."""
    return Call(method="POST", path=path_at("/v1/bulk/{}/stop", operation_id))


def get_retention() -> Call[RetentionView]:
    """Ask how long things are kept, what is due, and what has gone."""
    return Call(method="GET", path="/v1/retention")


def put_retention(
    *, rules: Sequence[Mapping[str, Any]] = (), quotas: Sequence[Mapping[str, Any]] = ()
) -> Call[RetentionView]:
    """Set rules and quotas in the place of those that were set before."""
    policy = {"rules": [dict(one) for one in rules], "quotas": [dict(one) for one in quotas]}
    return Call(method="PUT", path="/v1/retention", body=policy)


def delete_job(job_id: str, *, reason: str = "") -> Call[None]:
    """Delete a job that has ended, with its bytes."""
    query = given({"reason": reason or None})
    return Call(method="DELETE", path=path_at("/v1/jobs/{}", job_id), query=query)


def get_pin(job_id: str) -> Call[PinView]:
    """Ask who keeps a job."""
    return Call(method="GET", path=path_at("/v1/jobs/{}/pin", job_id))


def pin_job(job_id: str, *, reason: str = "") -> Call[PinView]:
    """Keep a job, whatever its time."""
    place = path_at("/v1/jobs/{}/pin", job_id)
    return Call(method="PUT", path=place, body={"reason": reason})


def unpin_job(job_id: str) -> Call[None]:
    """Let a job go after its time."""
    return Call(method="DELETE", path=path_at("/v1/jobs/{}/pin", job_id))


def remove_version(name: str, version: str) -> Call[None]:
    """Remove a version that nothing needs."""
    return Call(method="DELETE", path=path_at("/v1/packages/{}/versions/{}", name, version))


def create_batch(name: str, *, note: str = "", webhook: str | None = None) -> Call[BatchView]:
    """Begin a batch."""
    order = {"name": name, "note": note, "webhook": webhook}
    return Call(method="POST", path="/v1/batches", body=order)


def list_batches() -> Call[PageOf[BatchView]]:
    """List batches, the last begun first."""
    return Call(method="GET", path="/v1/batches")


def get_batch(batch: str) -> Call[BatchView]:
    """Ask how far a batch has come."""
    return Call(method="GET", path=path_at("/v1/batches/{}", batch))


def seal_batch(batch: str) -> Call[BatchView]:
    """Let a batch take no more jobs."""
    return Call(method="POST", path=path_at("/v1/batches/{}/seal", batch))


def cancel_batch(batch: str, *, reason: str) -> Call[BatchView]:
    """Cancel every job of a batch that has not ended."""
    place = path_at("/v1/batches/{}/cancel", batch)
    return Call(method="POST", path=place, body={"reason": reason})


def add_webhook(url: str, *, package: str = "*", states: Sequence[str] = ()) -> Call[WebhookView]:
    """Be told when jobs end; without states, of every end."""
    order = {"url": url, "package": package, **given({"states": list(states) or None})}
    return Call(method="POST", path="/v1/webhooks", body=order)


def list_webhooks() -> Call[PageOf[WebhookView]]:
    """List webhooks."""
    return Call(method="GET", path="/v1/webhooks")


def remove_webhook(webhook_id: str) -> Call[None]:
    """Tell nobody there any more."""
    return Call(method="DELETE", path=path_at("/v1/webhooks/{}", webhook_id))


def get_webhook_secret() -> Call[SecretView]:
    """Ask what messages to one are signed with."""
    return Call(method="GET", path="/v1/webhook-secret")


def list_deliveries(
    *, state: str | None = None, job: str | None = None
) -> Call[PageOf[DeliveryView]]:
    """List what was told, or is to be."""
    query = given({"state": state, "job": job})
    return Call(method="GET", path="/v1/deliveries", query=query)


def get_delivery(delivery_id: str) -> Call[DeliveryView]:
    """Ask for one delivery."""
    return Call(method="GET", path=path_at("/v1/deliveries/{}", delivery_id))


def replay_delivery(delivery_id: str) -> Call[DeliveryView]:
    """Tell it again."""
    return Call(method="POST", path=path_at("/v1/deliveries/{}/replay", delivery_id))


def get_prompt(job_id: str) -> Call[PromptView]:
    """Ask what a job asks."""
    return Call(method="GET", path=path_at("/v1/jobs/{}/prompt", job_id))


def answer_job(job_id: str, *, key: str, answer: Any) -> Call[JobDetail]:
    """Answer what a job asks."""
    place = path_at("/v1/jobs/{}/response", job_id)
    return Call(method="POST", path=place, body={"key": key, "answer": answer})
