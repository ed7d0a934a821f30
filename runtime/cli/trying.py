"""`fumehood try`: a bundle on one's own machine, behind the walls of production."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.cli.arguments import Inputs, Pairs, Parameters
from runtime.cli.bundling import bundle_file
from runtime.cli.job_text import error_text
from runtime.cli.parameters import parameters_of
from runtime.cli.printing import AsJson, emit, facts, say
from runtime.errors import TryFailed
from runtime.settings import load
from runtime.trying import Trial, try_bundle


def try_command(
    bundle: Annotated[Path, typer.Argument(exists=True, help="A bundle: its folder or its zip.")],
    inputs: Inputs = None,
    parameter: Pairs = None,
    parameters: Parameters = "{}",
    outputs_to: Annotated[
        Path | None, typer.Option("--outputs", "-o", help="Put the outputs there.")
    ] = None,
    open_gate: Annotated[
        str, typer.Option("--open-gate", help="Fetch missing wheels; say the reason.")
    ] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Run a bundle once, with no server: same walls, same judgement, same artifact.

    Wheels and environments are shared with the data folder (FUMEHOOD_HOME). With --json the
    artifact is printed; the exit code is 1 if the job fails, 3 if the bundle is refused.
    """
    given = parameters_of(parameters, pairs=parameter or ())
    with bundle_file(bundle) as archive:
        trial = asyncio.run(
            _try(archive, inputs or [], given, outputs_to=outputs_to, gate_reason=open_gate)
        )
    emit(json.loads(trial.artifact), as_json=as_json, show=_text)
    if not trial.is_ok:
        raise typer.Exit(1)


async def _try(
    archive: Path,
    inputs: list[Path],
    parameters: dict[str, Any],
    *,
    outputs_to: Path | None,
    gate_reason: str,
) -> Trial:
    try:
        return await try_bundle(
            load({}).settings,
            bundle=archive,
            inputs=inputs,
            parameters=parameters,
            outputs_to=outputs_to,
            gate_reason=gate_reason,
        )
    except TryFailed as fault:
        if fault.traceback and "--json" not in sys.argv:
            say(fault.traceback)
        raise


def _text(artifact: dict[str, Any]) -> str:
    isolation = artifact["isolation"]
    walls = [layer["name"] for layer in isolation["layers"] if layer["in_force"]]
    installed = artifact["environment"]["installed"]
    usage = artifact["usage"]
    spent = f"{usage['wall_ms']:.0f} ms, {usage['cpu_ms']:.0f} ms of CPU" if usage else None
    shown = {
        "state": artifact["state"],
        "result": json.dumps(artifact["result"], ensure_ascii=False),
        "outputs": [f"{one['path']} ({one['size_bytes']} bytes)" for one in artifact["outputs"]],
        "installed": [f"{one['name']} {one['version']}" for one in installed],
        "walls": f"{isolation['level']}: {', '.join(walls)}",
        "usage": spent,
    }
    return facts(shown, names=list(shown)) + error_text(artifact["error"])
