"""`fumehood wheelhouse build`: a wheel from source, behind walls, if the admin allows it."""

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from packages.bundle.manifest import Manifest
from packages.environment.source_build import SourceBuilder
from packages.lock.grant import Ceiling, GateState, decide
from runtime.cli.appliance.doctor import wanted_python
from runtime.cli.output.printing import AsJson, emit, say
from runtime.home.factories import environments_of, locker_of, wheelhouse_of
from runtime.home.folders import make_home
from runtime.home.local_user import local_user
from runtime.home.offline_database import write_down
from runtime.settings.settings import Settings, load
from runtime.values.clock import utc_now
from sandbox.command import Interpreter, Report
from sandbox.sandbox import Sandbox
from wheelhouse.store import Wheel


def build(
    sdist: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A source distribution (.tar.gz).")
    ],
    python: Annotated[str, typer.Option("--python", help="For which, such as >=3.12.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Build a wheel in a cell without network, from build tools in the wheelhouse, and keep it.

    Needs the setting source_builds. What the backend writes is shown on stderr.
    """
    settings = load().settings
    wheel = asyncio.run(_build(settings, sdist, interpreter=wanted_python(python)))
    details = {"sha256": wheel.sha256, "how": wheel.origin.note}
    write_down(settings, action="wheel.build", subject=wheel.filename, details=details)
    emit(
        wheel.to_dict(),
        as_json=as_json,
        show=lambda one: f"{one['filename']} is in the wheelhouse, {one['origin']['note']}",
    )


async def _build(settings: Settings, sdist: Path, *, interpreter: Interpreter) -> Wheel:
    make_home(settings.home)
    wheelhouse = wheelhouse_of(settings.home)
    manifest = Manifest.model_validate({"schema": 1, "name": "build", "version": "1"})
    ceiling = Ceiling(source_builds=settings.source_builds)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=wheelhouse.root) as folder:
        Path(folder).chmod(0o755)  # noqa: ASYNC240 – nothing else runs yet
        sandbox = await Sandbox.open(Path(folder) / "cells", crossed=(settings.home,))
        try:
            builder = SourceBuilder(
                wheelhouse=wheelhouse,
                locker=locker_of(settings, wheelhouse=wheelhouse),
                environments=environments_of(settings.home, wheelhouse=wheelhouse, run=sandbox.run),
                run=sandbox.run,
                clock=utc_now,
            )
            grant = decide(manifest, ceiling=ceiling, gate=GateState())
            return await builder.build(
                sdist, interpreter=interpreter, grant=grant, by=local_user(), observe=_say_report
            )
        finally:
            await sandbox.close()


def _say_report(report: Report) -> None:
    """Show people what the backend writes."""
    line = report.data.get("line")
    if isinstance(line, str):
        say(line)
