"""Runs schedules of the jobs' state machine until one breaks a rule, or shows one of them again.

    scripts/simulate [--seed N] [--schedules N] [--on model|store|both] [--json]

A schedule is a number: it chooses which client, worker or caretaker does what next. With --seed
that one is run, on the model and the functions of the store side by side, and its steps are
printed. Prints {"schedules", "steps", "broken", "transitions"}; exits 1 where a rule was broken.
"""

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent.parent
SIMULATION = "support.simulation"


def part(name: str) -> Any:
    """Return a module of the simulation, which lies among the tests' support."""
    sys.path[:0] = [str(PROJECT / "tests")] if str(PROJECT / "tests") not in sys.path else []
    return import_module(f"{SIMULATION}.{name}")


def machine_on(chosen: str, stack: ExitStack) -> Callable[[], Any]:
    """Return what makes a fresh machine: the model, the store, or both side by side."""
    if chosen == "model":
        return part("model").Model
    of_store = part("of_store")
    connection = stack.enter_context(of_store.memory())
    if chosen == "store":
        return lambda: of_store.OfStore(connection)
    return lambda: part("both").Both(of_store.OfStore(connection))


def run_all(seeds: range, make: Callable[[], Any]) -> dict[str, Any]:
    """Run schedules until one is broken; return what came of them."""
    schedules, broken = part("schedule"), part("invariants").Broken
    told: dict[str, Any] = {"schedules": 0, "steps": 0, "broken": None}
    changes: set[tuple[str, str]] = set()
    for seed in seeds:
        schedule = schedules.Schedule(seed, make())
        told["schedules"] += 1
        told["steps"] += schedules.STEPS
        try:
            schedule.run()
        except broken as error:
            print(error, file=sys.stderr)
            told["broken"] = seed
            break
        finally:
            changes |= schedule.changes
        if len(seeds) == 1:
            print(schedule.story(), file=sys.stderr)
    return told | {"transitions": len(changes)}


def main() -> int:
    """Run one schedule or many; exit 1 where a rule was broken."""
    parser = argparse.ArgumentParser(
        prog="scripts/simulate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, help="run this schedule only, and show its steps")
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--on", choices=("model", "store", "both"))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    seeds = range(chosen.schedules)
    if chosen.seed is not None:
        seeds = range(chosen.seed, chosen.seed + 1)
    on = chosen.on or ("model" if chosen.seed is None else "both")
    with ExitStack() as stack:
        told = run_all(seeds, machine_on(on, stack))
    print(json.dumps(told) if chosen.json else told, flush=True)
    return 0 if told["broken"] is None else 1


if __name__ == "__main__":
    sys.exit(main())
