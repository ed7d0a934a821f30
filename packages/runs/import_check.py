"""The entry point is imported once before a version becomes active, as its jobs will import it.

What does not import would fail every job. And the cell that imported it is the warm one that the
first job is forked from.
"""

from dataclasses import replace
from pathlib import Path

from packages.errors import ActivationFailed
from packages.progress import quiet
from packages.runs.cold_starts import mend_of as mend_of_cold
from packages.runs.hooks import RunContext, extract_command
from packages.runs.missing_modules import mend_of
from sandbox.command import Command, Ending, Observe, Outcome, Report, Run
from wheelhouse.durable import remove_tree
from wheelhouse.problem import Problem

IMPORTED = (Ending.RETURNED, Ending.RAISED)
"""How a run of `import_command` ends whose import went well; see there."""


async def check_import(
    context: RunContext, *, run: Run, outputs_to: Path, observe: Observe = quiet
) -> Outcome:
    """Import the entry point as a job would. Raises ActivationFailed where that does not go.

    What the import prints, and whether the version starts warm, is told to `observe`.
    """
    try:
        outcome = await run(import_command(context), outputs_to=outputs_to, observe=observe)
    finally:
        remove_tree(outputs_to)
    if outcome.ending not in IMPORTED:
        raise _failed(context, outcome)
    observe(Report(kind="log", data={"level": "info", "message": start_told(context, outcome)}))
    return outcome


def import_command(context: RunContext) -> Command:
    """Return the Command that imports the entry point, and calls nothing of the package's.

    It is a job's in all that a warm cell is made from, so that the cell is one for jobs; only that
    it waits for it, to find out how jobs start. The target is the module's own class, which every
    module has: to call it makes an empty module, which no run can return. So "raised" is the end of
    an import that went well; what fails in the import is "unloadable", and whatever ends it
    otherwise says so.
    """
    command = extract_command(context, job_id="")
    warmth = command.warmth and replace(command.warmth, may_begin_cold=False)
    module = command.target.partition(":")[0]
    return replace(
        command,
        target=f"{module}:__class__",
        handle="doc",
        arguments={"name": "imported"},
        warmth=warmth,
    )


def start_told(context: RunContext, outcome: Outcome) -> str:
    """Return in plain words how jobs of the version start, and what keeps them cold."""
    isolation = outcome.isolation
    if context.bundle.manifest.start == "cold":
        return "jobs of this version start cold: the manifest asks for it"
    if isolation.start == "warm":
        return "jobs of this version start warm: the import leaves nothing that keeps them cold"
    mend = mend_of_cold(isolation.start_word)
    told = f'; {mend}, or say "start": "cold" in the manifest, if it is meant so' if mend else ""
    return f"jobs of this version start cold: {isolation.start_reason}{told}"


def _failed(context: RunContext, outcome: Outcome) -> ActivationFailed:
    module = context.bundle.manifest.entrypoint.partition(":")[0]
    failure = outcome.failure
    what = failure.what if failure else f"it ended: {outcome.ending}"
    mend = failure.mend if failure else "let the module be imported without asking anything"
    problem = Problem(
        code="import-failed",
        what=f"the entry point's module {module} cannot be imported: {what}",
        where=context.bundle.manifest.entrypoint,
        mend=mend_of(failure.missing_module if failure else "", otherwise=mend),
    )
    return ActivationFailed(problem, traceback=failure.traceback if failure else "")
