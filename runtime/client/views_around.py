"""What the appliance answers of what is around jobs, as types (`runtime.client.views`)."""

from typing import Any, Literal, TypedDict

from runtime.client.views import State


class PresetView(TypedDict):
    """A filter that was saved under a name."""

    name: str
    wanted: dict[str, Any]
    at: str


class BulkView(TypedDict):
    """A bulk operation, or (without an id) what a dry run has counted."""

    id: str | None
    act: Literal["cancel", "retry", "delete"]
    wanted: dict[str, Any]
    who: str
    reason: str
    state: Literal["running", "stopped", "done"] | None
    matched: int
    done: int
    left_alone: int
    waits_for: str
    at: str | None
    finished_at: str | None


class FreedView(TypedDict):
    """How much of a kind has gone so far."""

    kind: str
    number: int
    size_bytes: int


class RetentionView(TypedDict):
    """The rules, of how many jobs something is due by them, and what they have freed."""

    settings: dict[str, Any]
    policy: dict[str, Any]
    due: dict[str, int]
    freed: list[FreedView]


class PinView(TypedDict):
    """Who keeps a job, and why."""

    job_id: str
    who: str
    reason: str
    at: str


class BatchView(TypedDict):
    """A batch of jobs, with its counts by state."""

    id: str
    name: str
    owner: str
    note: str
    webhook: str | None
    standing: Literal["open", "sealed", "ended"]
    jobs: dict[State, int]
    done: int
    total: int
    at: str
    sealed_at: str | None
    ended_at: str | None


class WebhookView(TypedDict):
    """Whom to tell of which ends."""

    id: str
    owner: str
    url: str
    package: str
    states: list[State]
    at: str


class SecretView(TypedDict):
    """What messages to a principal are signed with."""

    secret: str


class DeliveryView(TypedDict):
    """One message to one address, and how its tries went."""

    id: str
    kind: str
    owner: str
    package: str
    job_id: str | None
    url: str
    body: str
    state: Literal["waiting", "delivered", "failed"]
    tries: int
    status: int | None
    error: str
    at: str
    due_at: str
    ended_at: str | None


class PromptView(TypedDict):
    """What a job asks, and until when it waits for the answer."""

    job_id: str
    key: str
    prompt: str
    answer_schema: dict[str, Any]
    fallback: dict[str, Any] | None
    asked_at: str
    expires_at: str | None
