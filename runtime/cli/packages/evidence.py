"""`fumehood package lock` and `sbom`: what a version installs, and what changed since another."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from packages.lock.lock import Lock, diff, read_lock
from runtime.cli.client import connected
from runtime.cli.input.arguments import Name, Version, plain
from runtime.cli.output.printing import AsJson, emit, say, table
from runtime.cli.packages.package import app
from runtime.client.around import remove_version
from runtime.client.client import Client
from runtime.client.operations import get_lock, get_package, get_sbom
from runtime.faults.errors import NotActive

MaybeVersion = Annotated[
    str | None, typer.Argument(help="The version; the active one by default.", callback=plain)
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write it to this file.")]


@app.command()
def lock(
    name: Name,
    version: MaybeVersion = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="Show what changed since this version.", callback=plain),
    ] = None,
    output: Output = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the pylock.toml that a version runs on, or what changed in it since another."""
    with connected() as client:
        text = client.ask(get_lock(name, _chosen(client, name, version)))
        before = client.ask(get_lock(name, since)) if since else None
    told = read_lock(text)
    if before is not None:
        changes = diff(read_lock(before), told)
        emit([change.to_dict() for change in changes], as_json=as_json, show=_changes)
    elif output:
        output.write_text(text, "utf-8")
        say(f"wrote {output}")
    else:
        emit(_facts(told), as_json=as_json, show=lambda _: text.rstrip())


@app.command()
def sbom(
    name: Name,
    version: MaybeVersion = None,
    output: Output = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the bill of materials of a version's environment (CycloneDX; it is JSON always)."""
    with connected() as client:
        text = client.ask(get_sbom(name, _chosen(client, name, version)))
    if output:
        output.write_text(text, "utf-8")
        say(f"wrote {output}")
    else:
        print(text, end="")


def _chosen(client: Client, name: str, version: str | None) -> str:
    """Return `version`, or the active one. Raises NotActive where there is none."""
    active = version or client.ask(get_package(name))["active_version"]
    if active is None:
        raise NotActive(
            f"{name} has no active version",
            where=name,
            mend=f"name a version (`fumehood package show {name}` lists them), or activate one",
        )
    return active


def _facts(told: Lock) -> dict[str, Any]:
    return {
        "digest": told.digest,
        "python": told.python_minor,
        "size_bytes": told.size_bytes,
        "packages": [asdict(package) for package in told.packages],
    }


def _changes(changes: list[dict[str, str]]) -> str:
    return table(changes, columns=("name", "before", "after")) if changes else "nothing changed"


@app.command("remove")
def remove(name: Name, version: Version) -> None:
    """Remove a version that nothing needs, with its bundle."""
    with connected() as client:
        client.ask(remove_version(name, version))
    say(f"{name} {version} is gone")
