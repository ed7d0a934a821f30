"""When a job shall run, as options say it: a time, or a span from now."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from runtime.cli.input.spans import minutes_of
from runtime.faults.errors import Malformed
from runtime.values.clock import utc_now
from wheelhouse.times import rfc3339

NotBefore = Annotated[
    str, typer.Option(help="Not before this time (2026-12-01T06:00:00Z), or in 30s, 15m, 2h, 1d.")
]
Expires = Annotated[
    str, typer.Option("--expires", help="Give it up if it has not begun then: a time, or in 2h.")
]
Unique = Annotated[
    str, typer.Option(help="While a job with this key waits or runs, take that one instead.")
]
Newest = Annotated[
    bool, typer.Option("--newest", help="With --unique: cancel what waits with the same key.")
]
Priority = Annotated[int, typer.Option(min=-2, max=2, help="Higher goes first: -2 to 2.")]
Attempts = Annotated[
    int | None, typer.Option("--attempts", min=1, help="Run it so often at most if it fails.")
]
Backoff = Annotated[
    float, typer.Option("--backoff", min=0, help="Seconds before the second attempt; it doubles.")
]
RetryOn = Annotated[
    list[str] | None,
    typer.Option("--retry-on", help="Only after this error or exception; can be repeated."),
]


def moment_of(text: str, *, option: str) -> str | None:
    """Return the time that `text` says, a span from now too; None for nothing. Raises Malformed."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return rfc3339(utc_now() + timedelta(minutes=_minutes(text, option=option)))
    if moment.tzinfo is None:
        raise Malformed(f"{text} does not say its zone", where=option, mend=f"such as {text}Z")
    return rfc3339(moment.astimezone(UTC))


def _minutes(text: str, *, option: str) -> float:
    try:
        return minutes_of(text)
    except Malformed as error:
        raise Malformed(
            f"{text} is neither a time nor a span",
            where=option,
            mend="such as 2026-12-01T06:00:00Z, or 30s, 15m, 2h, 1d from now",
        ) from error


def retry_of(
    attempts: int | None, *, backoff_s: float, on: list[str] | None
) -> dict[str, Any] | None:
    """Return what the options say of retries, None for nothing."""
    if attempts is None:
        return None
    return {"attempts": attempts, "backoff_s": backoff_s, "on": list(on or ())}
