"""Which jobs a command means: the conditions that lists and bulk operations share."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any

import typer

from runtime.cli.input.spans import SPAN, minutes_of
from runtime.values.clock import utc_now

OfState = Annotated[str | None, typer.Option("--state", help="Only jobs in this state.")]
OfPackage = Annotated[str | None, typer.Option("--package", help="Only jobs of this package.")]
OfVersion = Annotated[str | None, typer.Option("--version", help="Only of this version.")]
OfPrincipal = Annotated[
    str | None, typer.Option("--principal", help="Only what this one submitted: token:ana.")
]
OfWorker = Annotated[str | None, typer.Option("--worker", help="Only what this worker ran last.")]
OfBatch = Annotated[str | None, typer.Option("--batch", help="Only of this batch (name or id).")]
OfError = Annotated[str | None, typer.Option("--error", help="Only with this code of error.")]
OfLabels = Annotated[
    list[str] | None,
    typer.Option("--label", "-l", help="Only with this label: name=value, or a name; repeatable."),
]
Since = Annotated[
    str | None, typer.Option("--since", help="Submitted since: 2026-11-29T12:00:00Z, or 7d ago.")
]
Until = Annotated[str | None, typer.Option("--until", help="Submitted before then, as --since.")]
OfText = Annotated[
    str | None, typer.Option("--text", help="What their id, a label or their error has in it.")
]
Labels = Annotated[
    list[str] | None, typer.Option("--label", "-l", help="A label: name=value; repeatable.")
]


def conditions(
    *,
    state: str | None = None,
    package: str | None = None,
    version: str | None = None,
    principal: str | None = None,
    worker: str | None = None,
    batch: str | None = None,
    error: str | None = None,
    labels: Sequence[str] | None = None,
    since: str | None = None,
    until: str | None = None,
    text: str | None = None,
) -> dict[str, Any]:
    """Return the conditions that were given, by the names that the API has for them."""
    given: Mapping[str, Any] = {
        "state": state,
        "package": package,
        "version": version,
        "principal": principal,
        "worker": worker,
        "batch": batch,
        "error": error,
        "labels": list(labels or ()),
        "since": moment(since),
        "until": moment(until),
        "text": text,
    }
    return {name: value for name, value in given.items() if value}


def moment(text: str | None) -> str | None:
    """Return a point in time: as it was written, or so long ago (7d, 2h)."""
    if text is None or not SPAN.fullmatch(text):
        return text
    return (utc_now() - timedelta(minutes=minutes_of(text))).isoformat()


def labels_of(given: Sequence[str] | None) -> dict[str, str]:
    """Return labels by name. Raises typer.BadParameter for one without a value."""
    found: dict[str, str] = {}
    for one in given or ():
        name, is_given, value = one.partition("=")
        if not is_given:
            raise typer.BadParameter(f"{one!r} is not name=value", param_hint="--label")
        found[name] = value
    return found
