"""`fumehood doctor`: attacks each wall of this host and tells which held."""

import asyncio
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from packages.interpreters import discover
from runtime.cli.input.settings_in_force import settings_in_force
from runtime.cli.output.printing import AsJson, emit, say, table
from runtime.home.folders import locks_of_all
from runtime.home.guard import ways_in
from sandbox.command import Interpreter
from sandbox.doctor.examination import Diagnosis, Finding, examine
from sandbox.sandbox import Sandbox

Python = Annotated[str, typer.Option("--python", help="Which interpreter, such as >=3.12.")]


def doctor(python: Python = "", *, as_json: AsJson = False) -> None:
    """Try every wall on this host: attack it, say whether it held, and what to do.

    Exit code 1 when a wall did not hold, or the level is below the one that is demanded
    (least_level in the settings).
    """
    diagnosis = asyncio.run(_examine(wanted_python(python)))
    emit(_document(diagnosis), as_json=as_json, show=_text)
    if not diagnosis.is_enough:
        raise typer.Exit(1)


def wanted_python(python: str) -> Interpreter:
    """Return the Python of this host that fits `python`. Raises typer.BadParameter."""
    try:
        return discover(str(SpecifierSet(python)))
    except InvalidSpecifier as error:
        raise typer.BadParameter(f"{python} is not a specifier such as >=3.12") from error


async def _examine(interpreter: Interpreter) -> Diagnosis:
    settings = settings_in_force()
    least = settings.least_level
    beside = _beside(settings.home)
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=beside) as folder:
        around = tuple(path for path in (beside, Path(folder)) if path)
        sandbox = await Sandbox.open(Path(folder) / "cells", grace_s=0.5, crossed=around)
        try:
            found = await examine(sandbox, interpreter, least=least)
        finally:
            await sandbox.close()
    return replace(found, findings=(*found.findings, _home_finding(beside))) if beside else found


def _home_finding(home: Path) -> Finding:
    problems = (*ways_in(home), *locks_of_all(home))
    return Finding(
        layer="data folder",
        tried="look into it, swap it, or hold its locks as another user of this host",
        held=not problems,
        detail="; ".join(f"{problem.where}: {problem.what}" for problem in problems),
        mend="; ".join(problem.mend for problem in problems),
    )


def _beside(home: Path) -> Path | None:
    """Return the data folder, where cells are in production; None where nothing can be put in."""
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=home):
            return home
    except FileNotFoundError:
        return None
    except OSError as error:
        say(f"{home} cannot be written to ({error.strerror}): the walls are tried elsewhere")
        return None


def _document(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "level": diagnosis.level,
        "least": diagnosis.least,
        "is_enough": diagnosis.is_enough,
        "findings": [asdict(finding) for finding in diagnosis.findings],
        "hints": list(diagnosis.hints),
        "gaps": list(diagnosis.gaps),
    }


def _text(document: dict[str, Any]) -> str:
    rows = [
        {**finding, "held": "✔ held" if finding["held"] else "✘ OPEN"}
        for finding in document["findings"]
    ]
    lines = [table(rows, columns=("held", "layer", "tried", "detail"))]
    lines += [
        f"\n✘ {finding['layer']}: {finding['mend']}"
        for finding in document["findings"]
        if not finding["held"]
    ]
    lines += [f"\nknown gap at this level: {gap}" for gap in document["gaps"]]
    lines += [f"\nhint: {hint}" for hint in document["hints"]]
    enough = "enough" if document["is_enough"] else "NOT enough"
    lines.append(f"\nlevel {document['level']}: {enough} (demanded: {document['least']})")
    return "\n".join(lines)
