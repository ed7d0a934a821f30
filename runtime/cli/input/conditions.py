"""Which jobs a command means: the conditions that lists and bulk operations share."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from inspect import Parameter, Signature, signature
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


type Conditions = Mapping[str, Any]
"""What was given of them, by the names that the API has for them."""
CONDITIONS: Mapping[str, Any] = {
    "state": OfState,
    "package": OfPackage,
    "version": OfVersion,
    "principal": OfPrincipal,
    "worker": OfWorker,
    "batch": OfBatch,
    "error": OfError,
    "label": OfLabels,
    "since": Since,
    "until": Until,
    "text": OfText,
}
"""The options of a filter, in the order of the help."""


def with_conditions(command: Callable[..., None]) -> Callable[..., None]:
    """Return `command` with the options of a filter; it is handed their values as `wanted`.

    Typer reads signatures, so the options are written into one.
    """
    own = signature(command).parameters.values()
    optional = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in CONDITIONS.items()
    ]

    def told(**given: Any) -> None:
        command(wanted=_wanted({name: given.pop(name) for name in CONDITIONS}), **given)

    taken = [one for one in own if one.name != "wanted"]
    first = [one for one in taken if one.kind is not Parameter.KEYWORD_ONLY]
    last = [one for one in taken if one.kind is Parameter.KEYWORD_ONLY]
    vars(told)["__signature__"] = Signature([*first, *optional, *last])
    told.__doc__, told.__name__ = command.__doc__, command.__name__
    return told


def _wanted(given: Mapping[str, Any]) -> Conditions:
    named = {**given, "since": moment(given["since"]), "until": moment(given["until"])}
    named["labels"] = list(named.pop("label") or ())
    return {name: value for name, value in named.items() if value}


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
