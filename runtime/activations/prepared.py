"""What an activation prepared, as the record that jobs of the version start from."""

from pathlib import Path

from pydantic import TypeAdapter

from packages.preparation import Prepared
from runtime.values.records import JsonObject, PreparedRecord
from sandbox.command import Interpreter, Outcome

INTERPRETER = TypeAdapter(Interpreter)
OUTCOME = TypeAdapter(Outcome)


def record_of(prepared: Prepared) -> PreparedRecord:
    """Return the record of `prepared`: plain values, and no path of this host but Python's."""
    return PreparedRecord(
        lock_digest=prepared.lock.digest,
        lock=prepared.lock.text,
        environment_key=prepared.environment.key,
        interpreter=INTERPRETER.dump_python(prepared.interpreter, mode="json"),
        inventory=prepared.environment.inventory.to_dict(),
        grant=prepared.grant.to_dict(),
        install=prepared.install.to_dict(),
        data_folder=prepared.data_folder.name if prepared.data_folder else None,
        hook=_hook(prepared.hook),
    )


def _hook(outcome: Outcome | None) -> JsonObject | None:
    if outcome is None:
        return None
    return {
        "ending": outcome.ending.value,
        "duration_ms": outcome.usage.wall_ms,
        "level": outcome.isolation.level.value,
    }


def interpreter_of(record: PreparedRecord) -> Interpreter:
    """Return the interpreter that the version was activated with."""
    return INTERPRETER.validate_python(dict(record.interpreter))


def data_folder_of(record: PreparedRecord, *, data_root: Path) -> Path | None:
    """Return the folder of what on_activate left, None where it left nothing."""
    return data_root / record.data_folder if record.data_folder else None
