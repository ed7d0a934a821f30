"""`fumehood`: the commands by name, loaded when called; faults become text and exit codes."""

import gc
import json
import os
import sys
import traceback
from typing import Annotated

import typer

from packages.errors import PackageError
from runtime.cli.input.current_folder import warn_of_ignored_settings
from runtime.cli.lazy import Table, lazy_group
from runtime.cli.output.printing import say
from runtime.cli.output.remote_faults import RemoteFault
from runtime.cli.shadowed_imports import check_not_shadowed
from runtime.faults.errors import RuntimeFault
from runtime.problem_table import EXIT_BUG, Fault, fault_of
from sandbox.errors import SandboxError
from wheelhouse.errors import WheelhouseError

COMMANDS: Table = {
    "up": ("runtime.cli.appliance.up:up", "Serve the API and the pages, and work."),
    "worker": ("runtime.cli.appliance.worker:worker", "Work only: another process serves."),
    "package": (
        "runtime.cli.packages.making:app",
        "Make, check, upload, activate, lock and list packages.",
    ),
    "run": (
        "runtime.cli.jobs.run:run",
        "Submit a job, follow it, fetch its outputs; exit as it does.",
    ),
    "job": (
        "runtime.cli.jobs.commands:app",
        "Submit jobs, follow them, fetch what they left.",
    ),
    "bulk": (
        "runtime.cli.many.bulk:app",
        "Cancel, retry or delete every job that a filter means.",
    ),
    "retention": (
        "runtime.cli.many.retention:app",
        "How long things are kept; what goes and went.",
    ),
    "batch": (
        "runtime.cli.many.batch:app",
        "Group jobs under a name; count, await, cancel them.",
    ),
    "webhook": (
        "runtime.cli.many.webhook:app",
        "Tell others when jobs end, and see how that went.",
    ),
    "preset": ("runtime.cli.many.preset:app", "Save filters of jobs under a name."),
    "schedule": ("runtime.cli.many.schedule:app", "Let jobs run at times to come."),
    "queue": ("runtime.cli.many.queue:app", "What waits and why; pause and drain."),
    "top": ("runtime.cli.appliance.top:top", "Queue, workers, jobs and rates, anew each second."),
    "gate": ("runtime.cli.access.gate:app", "Show, open and close the network gate."),
    "token": ("runtime.cli.access.token:app", "Make, list, rotate and revoke tokens."),
    "login": ("runtime.cli.access.login:login", "Print a link that logs a browser in."),
    "wheelhouse": (
        "runtime.cli.wheelhouse.commands:app",
        "Add wheels, see which there are, carry them.",
    ),
    "env": ("runtime.cli.appliance.env:app", "See, verify and collect environments."),
    "audit": ("runtime.cli.access.audit:app", "Read the audit log, and check that it is whole."),
    "config": ("runtime.cli.appliance.config:app", "Show the settings and where they come from."),
    "schema": ("runtime.cli.appliance.schema:schema", "Print a published JSON Schema."),
    "try": ("runtime.cli.packages.try_:try_command", "Run a bundle here, with no server."),
    "doctor": (
        "runtime.cli.appliance.doctor:doctor",
        "Attack every wall of this host; say which held.",
    ),
    "version": ("runtime.cli.appliance.version:version", "Print the version."),
}


SELDOM = (1_000_000, 50, 50)
"""How often unreachable objects are looked for (gc): a command makes hundreds of thousands that
stay, its modules and their models, and looking at them was a sixth of a start of `fumehood up`.
Each look at them is 25 ms."""
NO_PLUGINS = ("PYDANTIC_DISABLE_PLUGINS", "__all__")
"""Nobody's code is let into our models; to look for it in each distribution is 10 ms."""
app = typer.Typer(
    cls=lazy_group(COMMANDS),
    name="fumehood",
    help="Run other people's packages without breathing them in.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_asked: bool) -> None:  # noqa: FBT001  (typer calls it)
    if is_asked:
        from importlib.metadata import version  # noqa: PLC0415 – 45 ms that no other command needs

        print(version("fumehood"))
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Run other people's packages without breathing them in.

    The appliance of your own home answers at its socket. Another one is at FUMEHOOD_URL
    (http://127.0.0.1:8800 by default), and wants a token in FUMEHOOD_TOKEN.
    Exit codes: 0 ok, 1 the job or package failed, 2 usage, 3 rejected input, 4 not found,
    5 not allowed, 6 conflict, 7 verification failed, 70 a bug of ours, 75 try again.
    """
    warn_of_ignored_settings()


def main() -> None:
    """Run the command line; exit with the code of the outcome."""
    gc.set_threshold(*SELDOM)
    os.environ.setdefault(*NO_PLUGINS)
    try:
        check_not_shadowed()
        app(prog_name="fumehood")
    except RemoteFault as error:
        _report(error.fault)
        sys.exit(error.fault.answer.exit_code)
    except (RuntimeFault, PackageError, WheelhouseError, SandboxError) as error:
        fault = fault_of(error)
        _report(fault)
        sys.exit(fault.answer.exit_code)
    except BrokenPipeError:
        sys.exit(0)  # whoever read our output has enough
    except Exception as error:
        fault = fault_of(error)
        if fault.answer.exit_code == EXIT_BUG:
            traceback.print_exc()
        _report(fault)
        sys.exit(fault.answer.exit_code)
    finally:
        # What is there goes with the process: to look for what is unreachable in it once more, as
        # the interpreter does at its end, is 0.1 s of a `fumehood try` (gc.freeze).
        gc.freeze()


def _report(fault: Fault) -> None:
    """Say a fault on stderr: as JSON where JSON was asked for, else for people."""
    if "--json" in sys.argv:
        print(json.dumps(fault.to_document(instance="fumehood")), file=sys.stderr)
        return
    say(f"error: {fault.what} [{fault.code}]")
    for problem in fault.problems:
        place = f"{problem.where}: " if problem.where else ""
        if problem.what != fault.what or place:
            say(f"  {place}{problem.what}")
        if problem.mend:
            say(f"    mend: {problem.mend}")
