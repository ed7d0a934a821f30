"""`fumehood job submit-many`: an order on each line of a file."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.cli.client import connected
from runtime.cli.output.printing import AsJson, emit_line, harmless, say
from runtime.client.around import submit_many
from runtime.problem_table import EXIT_REJECTED


def submit_lines(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="NDJSON: an order on each line.")
    ],
    *,
    all_or_none: Annotated[
        bool, typer.Option("--all", help="Take none where one of them is bad.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Submit up to 1,000 jobs at once; exit 3 where some were refused.

    A line is {"package": NAME, "parameters": {…}, "labels": {…}, "batch": …, "key": …}.
    """
    with connected() as client:
        text = client.ask(submit_many(file.read_bytes(), mode="all" if all_or_none else "each"))
    told: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    for one in told:
        if as_json:
            emit_line(one)
        elif "job" in one:
            print(harmless(one["job"]["id"]))
        else:
            for problem in one["problem"]["problems"]:
                say(f"line {one['line']}: {problem['what']} [{problem['code']}]")
    if any("problem" in one for one in told):
        raise typer.Exit(EXIT_REJECTED)
