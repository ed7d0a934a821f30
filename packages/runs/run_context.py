"""One function builds what the functions of a version run in: for activations and jobs alike."""

from collections.abc import Mapping
from pathlib import Path

from packages.bundle.bundle import Bundle
from packages.environment.environment import Environment
from packages.environment.runnable import runnable
from packages.lock.grant import Grant
from packages.runs.hooks import Stage
from sandbox.command import Interpreter, Level, Run


async def run_context(
    bundle: Bundle,
    *,
    environment: Environment,
    interpreter: Interpreter,
    grant: Grant,
    run: Run,
    least: Level,
    data_folder: Path | None = None,
    secrets: Mapping[str, str] | None = None,
) -> Stage:
    """Return where the functions of `bundle` run; its bytecode is compiled first, with `run`.

    Raises EnvironmentFailed where that step did not come to its end.
    """
    return Stage(
        bundle=await runnable(bundle, interpreter=interpreter, run=run),
        environment=environment,
        interpreter=interpreter,
        grant=grant,
        data_folder=data_folder,
        least=least,
        secrets=dict(secrets or {}),
    )
