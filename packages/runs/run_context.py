"""One function builds what the functions of a version run in: for activations and jobs alike."""

from collections.abc import Mapping
from pathlib import Path

from packages.bundle.bundle import Bundle
from packages.environment.bundle_bytecode import with_bytecode
from packages.environment.environment import Environment
from packages.lock.grant import Grant
from packages.runs.hooks import RunContext
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
) -> RunContext:
    """Return where the functions of `bundle` run; its bytecode is compiled first, with `run`.

    Raises EnvironmentFailed where that step did not come to its end.
    """
    return RunContext(
        bundle=await with_bytecode(bundle, interpreter=interpreter, run=run),
        environment=environment,
        interpreter=interpreter,
        grant=grant,
        data_folder=data_folder,
        least=least,
        secrets=dict(secrets or {}),
    )
