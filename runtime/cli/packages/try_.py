"""`fumehood try`: a bundle on one's own machine, behind the walls of production."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.artifact.traffic_text import traffic_text
from runtime.cli.input.arguments import Inputs, Pairs, Parameters
from runtime.cli.input.bundle_zip import bundle_file
from runtime.cli.input.parameters import parameters_of
from runtime.cli.output.job_text import error_text, event_line, start_text
from runtime.cli.output.printing import AsJson, emit, facts, say
from runtime.faults.errors import TryFailed
from wheelhouse.judges.pool import Judges

if TYPE_CHECKING:
    from runtime.appliance.ahead import Ahead
    from runtime.appliance.trial import Trial

JUDGING = "packages.judging"
MOST_LISTED = 20
"""How many outputs are listed for people; the artifact has them all."""
EXIT_TERMINATED = 128 + signal.SIGTERM


def _folder(path: Path | None) -> Path | None:
    """Make the folder for outputs before anything runs: afterwards the run would be lost."""
    if path is not None:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise typer.BadParameter(f"{path} cannot be a folder: {error.strerror}") from error
        if not os.access(path, os.W_OK | os.X_OK):
            raise typer.BadParameter(f"{path} cannot be written to")
    return path


def try_command(
    bundle: Annotated[Path, typer.Argument(exists=True, help="A bundle: its folder or its zip.")],
    inputs: Inputs = None,
    parameter: Pairs = None,
    parameters: Parameters = "{}",
    outputs_to: Annotated[
        Path | None,
        typer.Option("--outputs", "-o", help="Put the outputs there.", callback=_folder),
    ] = None,
    open_gate: Annotated[
        str, typer.Option("--open-gate", help="Fetch missing wheels; say the reason.")
    ] = "",
    answer: Annotated[
        list[str] | None,
        typer.Option("--answer", "-a", help="KEY=VALUE: the answer to a question; repeatable."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Run a bundle once, with no server: same walls, same judgement, same artifact.

    What the run says is shown on stderr. Wheels and environments are shared with the data
    folder (FUMEHOOD_HOME). With --json the artifact is printed; the exit code is 1 if the job
    fails, 3 if the bundle is refused.
    """
    given = parameters_of(parameters, pairs=parameter or ())
    answers = parameters_of("{}", pairs=answer or ())
    with bundle_file(bundle) as archive, Judges() as judges:
        judges.begin(JUDGING)  # it imports beside us, for as long as we do
        trial = asyncio.run(
            _try(
                archive,
                inputs or [],
                given,
                outputs_to=outputs_to,
                gate_reason=open_gate,
                answers=answers,
                judges=judges,
            )
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
    answers: dict[str, Any],
    judges: Judges,
) -> "Trial":
    # Most of a try is imports. So each stands where something already runs beside it: a judge
    # imports while the settings are, the sandbox opens and the bundle is prepared while the
    # appliance is.
    from runtime.appliance.throwaway import throwaway  # noqa: PLC0415
    from runtime.cli.input.settings_in_force import settings_in_force  # noqa: PLC0415

    _stop_at_sigterm()
    try:
        async with throwaway(settings_in_force()) as place:
            ahead = (await asyncio.to_thread(_imported_ahead))(judges=judges)
            try_bundle, _ = await asyncio.gather(
                asyncio.to_thread(_imported),
                ahead.run(archive, place, is_gate_open=bool(gate_reason)),
            )
            return await try_bundle(
                place,
                bundle=archive,
                inputs=inputs,
                parameters=parameters,
                outputs_to=outputs_to,
                on_event=_say_event,
                judges=judges,
                ahead=ahead,
                gate_reason=gate_reason,
                answers=answers,
            )
    except asyncio.CancelledError as fault:
        raise typer.Exit(EXIT_TERMINATED) from fault
    except TryFailed as fault:
        if fault.traceback and "--json" not in sys.argv:
            say(fault.traceback)
        raise


def _imported_ahead() -> "type[Ahead]":
    from runtime.appliance.ahead import Ahead  # noqa: PLC0415

    return Ahead


def _imported() -> "Callable[..., Awaitable[Trial]]":
    from runtime.appliance.trial import try_bundle  # noqa: PLC0415

    return try_bundle


def _stop_at_sigterm() -> None:
    """Let SIGTERM stop the try as Ctrl-C does: nothing is left behind in /var/tmp."""
    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _say_event(event: dict[str, Any]) -> None:
    if line := event_line(event):
        say(line)


def _text(artifact: dict[str, Any]) -> str:
    isolation = artifact["isolation"]
    walls = [layer["name"] for layer in isolation["layers"] if layer["in_force"]]
    installed = artifact["environment"]["installed"]
    usage = artifact["usage"]
    spent = f"{usage['wall_ms']:.0f} ms, {usage['cpu_ms']:.0f} ms of CPU" if usage else None
    shown = {
        "state": artifact["state"],
        "result": json.dumps(artifact["result"], ensure_ascii=False),
        "outputs": _listed(f"{o['path']} ({o['size_bytes']} bytes)" for o in artifact["outputs"]),
        "not kept": _listed(
            (f"{one['path']}: {one['why']}" for one in artifact["refusals"]),
            total=artifact["refused"],
        ),
        "hooks": [_hook(hook) for hook in artifact["hooks"]],
        "installed": [f"{one['name']} {one['version']}" for one in installed],
        "walls": f"{isolation['level']}: {', '.join(walls)}",
        "start": start_text(isolation),
        "network": traffic_text(artifact["traffic"]) if artifact["traffic"] else None,
        "usage": spent,
    }
    seldom = {"not kept", "hooks", "network"}
    names = [name for name, value in shown.items() if value or name not in seldom]
    return facts(shown, names=names) + error_text(artifact["error"])


def _listed(lines: Iterable[str], *, total: int = 0) -> list[str]:
    """Return the first of `lines`, and how many more there are; `total` if some are left out."""
    told = list(lines)
    more = max(total, len(told)) - MOST_LISTED
    return [*told[:MOST_LISTED], f"… and {more} more"] if more > 0 else told


def _hook(hook: dict[str, Any]) -> str:
    error = f" ({hook['error']['what']})" if hook["error"] else ""
    return f"{hook['name']} {hook['state']}{error}"
