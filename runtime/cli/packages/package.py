"""`fumehood package`: check, upload, activate, go back, list."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from packaging.version import Version as PythonVersion

from packages.archive import check_whole
from runtime.cli.client import connected
from runtime.cli.input.arguments import Name, plain
from runtime.cli.input.bundle_zip import bundle_file
from runtime.cli.output.job_text import event_line
from runtime.cli.output.printing import AsJson, emit, facts, say, table
from runtime.cli.packages.resolving import resolve
from runtime.client.client import Client
from runtime.client.operations import activate_version as activation_of
from runtime.client.operations import (
    get_activation,
    get_package,
    get_version,
    list_activations,
    list_versions,
    roll_back,
    upload_package,
)
from runtime.client.operations import list_packages as packages_there
from runtime.client.views import ActivationView
from runtime.faults.errors import NotFound
from runtime.home.factories import ceilings_of
from runtime.problem_table import EXIT_BUG, EXIT_JOB_FAILED, EXIT_REJECTED
from runtime.settings.settings import load
from wheelhouse.judges.pool import Judges

app = typer.Typer(no_args_is_help=True, help="Check, upload, activate, lock and list packages.")
BundlePath = Annotated[Path, typer.Argument(exists=True, help="A bundle: archive or folder.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why, for the audit log.")]
VERSION_FACTS = ("package", "version", "title", "digest", "size_bytes", "requirements", "is_active")
POLL_S = 0.1


@app.command()
def check(
    bundle: BundlePath,
    *,
    is_resolved: Annotated[
        bool, typer.Option("--resolve", help="Look whether what it requires can be had.")
    ] = False,
    gate_reason: Annotated[
        str, typer.Option("--open-gate", help="With --resolve: ask the index too; say the reason.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Judge a bundle here, as an upload would; needs no server. Exit 3 with what is wrong."""
    with bundle_file(bundle) as path, path.open("rb") as source, Judges() as judges:
        settings = load().settings
        ceilings = ceilings_of(settings)
        problems, right = check_whole(source, judges=judges, ceilings=ceilings, name=bundle.name)
    resolved: list[str] = []
    if is_resolved and right is not None:
        work = resolve(right, settings=settings, gate_reason=gate_reason)
        resolved, problems = asyncio.run(work)
    found = [problem.to_dict() for problem in problems]
    notices = [notice.to_dict() for notice in right.notices] if right else []
    emit(
        {"bundle": str(bundle), "problems": found, "notices": notices, "resolved": resolved},
        as_json=as_json,
        show=lambda _: _problems(found) or "\n".join([_right(bundle, notices), *resolved]),
    )
    if problems:
        raise typer.Exit(EXIT_REJECTED)


def _right(bundle: Path, notices: list[dict[str, str]]) -> str:
    if not notices:
        return f"{bundle} is right"
    return f"{bundle} can be uploaded; look at this again:\n{_problems(notices)}"


@app.command()
def upload(
    bundle: BundlePath,
    *,
    activate: Annotated[bool, typer.Option("--activate", help="Make it active too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Upload a bundle. The same bytes again change nothing."""
    with bundle_file(bundle) as path, path.open("rb") as source, connected() as client:
        version = client.ask(upload_package(source))
        if not activate:
            emit(version, as_json=as_json, show=_version)
            return
        say(f"uploaded {version['package']} {version['version']}; activating")
        activation = _activate(client, version["package"], version["version"], reason="")
    _end(activation, as_json=as_json)


@app.command("activate")
def activate_version(
    name: Name,
    version: Annotated[
        str | None, typer.Argument(help="Empty: the newest one.", callback=plain)
    ] = None,
    reason: Reason = "",
    *,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return at once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Prepare a version and make it the active one, if its on_activate hook passes.

    An older version that was active before is ready: its environment is not built again.
    """
    with connected() as client:
        version = version or _newest(client, name)
        if no_wait:
            asked = client.ask(activation_of(name, version, reason=reason))
            emit(asked, as_json=as_json, show=lambda one: one["id"])
            return
        activation = _activate(client, name, version, reason=reason)
    _end(activation, as_json=as_json)


def _newest(client: Client, name: str) -> str:
    """Return the highest version that was uploaded, and say which it is."""
    found = client.ask(list_versions(name))["items"]
    newest = max((one["version"] for one in found), key=PythonVersion)
    say(f"activating {name} {newest}, the newest version")
    return newest


def _activate(client: Client, name: str, version: str, *, reason: str) -> ActivationView:
    activation = client.ask(activation_of(name, version, reason=reason))
    while activation["state"] in {"queued", "running"}:
        time.sleep(POLL_S)
        activation = client.ask(get_activation(activation["id"]))
    return activation


def _end(activation: ActivationView, *, as_json: bool) -> None:
    emit(activation, as_json=as_json, show=_activation)
    if activation["state"] == "failed":
        raise typer.Exit(_exit_code(activation))


def _exit_code(activation: ActivationView) -> int:
    """Return 1 where the package's hook failed, 70 where we did, else 3: it was rejected."""
    codes = [problem["code"] for problem in activation["problems"]]
    if "internal-error" in codes:
        return EXIT_BUG
    is_hook = activation["traceback"] or any(
        code == "import-failed" or code.startswith("hook-") for code in codes
    )
    return EXIT_JOB_FAILED if is_hook else EXIT_REJECTED


@app.command()
def rollback(name: Name, reason: Reason = "", *, as_json: AsJson = False) -> None:
    """Make the version active again that was so before."""
    with connected() as client:
        seen = client.tagged(get_package(name))
        package = client.ask(roll_back(name, if_match=seen.tag, reason=reason))
    emit(package, as_json=as_json, show=lambda one: f"{name} {one['active_version']} is active")


@app.command("log")
def show_log(
    name: Name,
    version: Annotated[
        str | None, typer.Argument(help="Empty: the last one that was tried.", callback=plain)
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what the last activation said: install, on_activate, and why it failed if it did."""
    with connected() as client:
        tries = client.ask(list_activations(name))["items"]
    wanted = [one for one in tries if version in (None, one["version"])]
    if not wanted:
        raise NotFound(
            f"{' '.join([name, version or '']).strip()} was never activated",
            where=name,
            mend=f"`fumehood package activate {name}`",
        )
    emit(wanted[0], as_json=as_json, show=_log)


def _log(activation: ActivationView) -> str:
    lines = [line for event in activation["log"] if (line := event_line(event))]
    end = _activation(activation) if activation["state"] != "running" else "still running"
    return "\n".join([*lines, end])


@app.command("list")
def list_packages(*, as_json: AsJson = False) -> None:
    """List the packages and their active versions."""
    with connected() as client:
        found = list(client.every(packages_there()))
    columns = ("name", "active_version", "created_at")
    emit(found, as_json=as_json, show=lambda rows: table(rows, columns=columns))


@app.command()
def show(
    name: Name,
    version: Annotated[
        str | None, typer.Argument(help="Empty: list the versions.", callback=plain)
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show a package's versions, or one version with its manifest."""
    with connected() as client:
        if version:
            found = client.ask(get_version(name, version))
            emit(found, as_json=as_json, show=_version)
            return
        package = client.ask(get_package(name))
        versions = client.ask(list_versions(name))["items"]
    columns = ("version", "title", "uploaded_at", "digest")
    shown: Mapping[str, Any] = {**package, "versions": versions}
    emit(
        shown,
        as_json=as_json,
        show=lambda one: (
            f"active: {one['active_version'] or 'none'}\n{table(one['versions'], columns=columns)}"
        ),
    )


def _version(version: Mapping[str, Any]) -> str:
    return facts(version, names=VERSION_FACTS)


def _activation(activation: ActivationView) -> str:
    name = f"{activation['package']} {activation['version']}"
    if activation["state"] in {"queued", "succeeded"}:
        return f"{name} is {'active' if activation['state'] == 'succeeded' else 'waiting'}"
    lines = [f"{name} did not become active", _problems(activation["problems"])]
    return "\n".join([*lines, activation["traceback"]]).rstrip()


def _problems(problems: Sequence[Mapping[str, Any]]) -> str:
    lines: list[str] = []
    for problem in problems:
        place = f"{problem['where']}: " if problem["where"] else ""
        lines.append(f"{place}{problem['what']} [{problem['code']}]")
        if problem["mend"]:
            lines.append(f"  mend: {problem['mend']}")
    return "\n".join(lines)
