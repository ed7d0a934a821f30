"""What an order is: what shall run, who sent it, by which key, and what it says besides."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import field

from frozen.values import frozen
from runtime.jobs.orders.rules import NO_WISH, WISH, Wish
from runtime.store.jobs import jobs as job_store
from runtime.values.ids import new_id
from runtime.values.labels import Labels
from runtime.values.records import Activation, Job, JobInput, JsonObject, RequestContext, SentKey
from sandbox.command import Json


@frozen
class Target:
    """What a job shall run on, what its manifest says of jobs, and which version was asked for."""

    asked_version: str | None

    activation: Activation
    manifest: JsonObject


@frozen
class Sender:
    """Who sends an order, by which key if any, and the id that the job shall have."""

    request: RequestContext
    job_id: str = field(default_factory=new_id)
    key: str = ""


@frozen
class Around:
    """What an order says besides what shall run: by what it is found, and who is told of its end.

    `batch` is the name of one of the sender's own.
    """

    labels: Labels = field(default_factory=dict[str, str])
    batch: str | None = None
    webhook: str | None = None

    def told(self) -> JsonObject:
        """Return what of it there is, so that two orders can be told apart."""
        labels: dict[str, Json] = dict(self.labels)
        said: JsonObject = {"labels": labels, "batch": self.batch, "webhook": self.webhook}
        return {name: value for name, value in said.items() if value}


PLAIN = Around()


@frozen
class Ordered:
    """A job as it will be stored, the key that its order was sent by, and which of two it keeps.

    `active` is the activation that has to be its package's active one then, if any has to.
    """

    job: Job
    sent: SentKey | None
    keep: job_store.Keep = "first"
    active: str = ""


@frozen
class Again:
    """On what a job is tried again: as it was, on what is active now, or on a version."""

    is_active: bool = False
    version: str | None = None

    @property
    def is_other(self) -> bool:
        """Return whether it is not as it was."""
        return self.is_active or self.version is not None


SAME = Again()


def sent_key(
    target: Target,
    *,
    parameters: JsonObject,
    inputs: Sequence[JobInput],
    sender: Sender,
    wish: Wish,
    around: Around,
) -> SentKey | None:
    """Return the key that an order was sent by, with what tells it from every other order."""
    if not sender.key:
        return None
    told: dict[str, object] = {
        "package": target.activation.package,
        "version": target.asked_version,
        "parameters": dict(parameters),
        "inputs": [[one.name, one.sha256, one.media_type] for one in inputs],
        **around.told(),
    }
    if wish != NO_WISH:  # so that a key of an older appliance still fits the same order
        told["wish"] = WISH.dump_python(wish, mode="json")
    text = json.dumps(told, sort_keys=True, ensure_ascii=False)
    fingerprint = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return SentKey(principal=sender.request.principal, key=sender.key, fingerprint=fingerprint)
