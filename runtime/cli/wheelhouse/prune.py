"""`fumehood wheelhouse prune|yank`: removes unneeded wheels, marks bad ones."""

from typing import Annotated, Any

import typer

from runtime.cli.appliance.env import environments_here, span
from runtime.cli.output.printing import AsJson, emit, table
from runtime.home.factories import wheelhouse_of
from runtime.home.offline_database import write_down
from runtime.home.wheel_pruning import prune_wheels
from runtime.settings.settings import load
from runtime.values.clock import utc_now
from wheelhouse.upkeep import Pruned


def prune(
    older_than: Annotated[
        str, typer.Option(help="Only what came into the wheelhouse longer ago, such as 30d.")
    ] = "30d",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove wheels that no environment, no version that was active, and no bundle's lock needs."""
    settings = load().settings
    pruned = prune_wheels(
        wheelhouse_of(settings.home),
        settings=settings,
        environments=environments_here(),
        unused_for=span(older_than),
        now=utc_now(),
        is_dry_run=dry_run,
    )
    for wheel in () if dry_run else pruned.wheels:
        write_down(
            settings, action="wheel.prune", subject=wheel.filename, details={"sha256": wheel.sha256}
        )
    emit(_document(pruned, is_dry_run=dry_run), as_json=as_json, show=_text)


def yank(
    sha256: Annotated[str, typer.Argument(help="The digest, sha256:….")],
    reason: Annotated[
        str, typer.Option("--reason", "-r", help="Why; whoever pins it is shown it.")
    ] = "",
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Take it back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Mark a wheel as one that new locks avoid (PEP 592); what is locked to it still installs."""
    settings = load().settings
    wheelhouse = wheelhouse_of(settings.home)
    wheel = wheelhouse.yank(wheelhouse.get(sha256), reason=None if undo else reason)
    action = "wheel.unyank" if undo else "wheel.yank"
    details = {"sha256": wheel.sha256, "reason": reason}
    write_down(settings, action=action, subject=wheel.filename, details=details)
    done = "is no longer yanked" if undo else "is yanked"
    emit(wheel.to_dict(), as_json=as_json, show=lambda one: f"{one['filename']} {done}")


def _document(pruned: Pruned, *, is_dry_run: bool) -> dict[str, Any]:
    return {
        "wheels": [wheel.to_dict() for wheel in pruned.wheels],
        "unpacked": pruned.unpacked,
        "size_bytes": pruned.size_bytes,
        "is_dry_run": is_dry_run,
    }


def _text(done: dict[str, Any]) -> str:
    verb = "would go" if done["is_dry_run"] else "are gone"
    summary = (
        f"{len(done['wheels'])} wheels and {done['unpacked']} unpacked ones {verb}: "
        f"{done['size_bytes'] / 1024**2:.1f} MB"
    )
    if not done["wheels"]:
        return summary
    return f"{table(done['wheels'], columns=('filename', 'size_bytes', 'sha256'))}\n{summary}"
