"""Compares real distributions outside and in cells, and writes the table.

scripts/compatibility [--only TEXT] [--json] [--write] [--home FOLDER]
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from packages.errors import PackageError
from sandbox.cells.pool import PoolBounds
from sandbox.sandbox import Sandbox

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "compatibility.md"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
NAMES = ("bundle", "outside", "cold", "warm", "what keeps it cold", "mend")
HEAD = """# What was tried

{bundles} bundles with real distributions, one characteristic call each (`tests/compatibility/`),
each run in a plain virtual environment, in a cold cell, and three times warm, with the limits that
a manifest has by default but for time and memory. `scripts/compatibility --write` made this page;
it wants a package index, and runs all of it outside as well, without walls.

{ran} run outside; {warm} of these start warm, and {same} of those give the same result, outputs and
ending everywhere. "as outside" means that; where the network, chance, a place or the number of
processors is what is asked for, only the ending and the outputs are compared.

| {columns} |
| {dashes} |
"""


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(prog="scripts/compatibility", description=__doc__)
    parser.add_argument("--only", default="", help="only bundles with this in name, or this folder")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--write", action="store_true", help="write docs/compatibility.md")
    parser.add_argument("--home", type=Path, default=CACHE / "fumehood-compatibility")
    told = parser.parse_args()
    sys.path.insert(0, str(PROJECT / "tests"))
    told.home.mkdir(parents=True, exist_ok=True)
    rows = asyncio.run(compare(told.only, told.home, as_json=told.json))
    if told.write:
        PAGE.write_text(page(rows))


async def compare(only: str, home: Path, *, as_json: bool) -> list[dict[str, str]]:
    """Compare one bundle after the other, each in a warm cell of its own."""
    compatibility: Any = import_module("support.compatibility")
    patience_s = compatibility.PATIENCE_S
    bounds = PoolBounds(cells=1, preload_s=patience_s, patience_s=patience_s)
    sandbox = await Sandbox.open(home / "cells", bounds=bounds)
    rows: list[dict[str, str]] = []
    try:
        comparison = compatibility.Comparison(home, sandbox)
        for one in compatibility.every():
            if only in one.name or only == one.group:
                row = await compared(comparison, one)
                rows.append(row)
                print(json.dumps(row) if as_json else line(row), flush=True)
    finally:
        await sandbox.close()
    return rows


async def compared(comparison: Any, one: Any) -> dict[str, str]:
    """Return its row, or one that says why there is none."""
    try:
        return (await comparison.row(one)).told()
    except PackageError as error:
        fault = "; ".join(f"{p.where}: {p.what}" for p in error.problems) or str(error)
    except (OSError, subprocess.SubprocessError) as error:
        fault = str(error)
    return {"name": one.name, "group": one.group, "fault": fault}


def line(row: dict[str, str]) -> str:
    """Return a row as a line for a terminal."""
    if "fault" in row:
        return f"{row['name']}: not compared: {row['fault']}"
    start = f"warm, {row['warm']}" if row["warm"] else f"never warm: {row['reason']}"
    return f"{row['name']}: outside {row['outside']}; cold {row['cold']}; {start}"


def page(rows: list[dict[str, str]]) -> str:
    """Return docs/compatibility.md."""
    ran = [row for row in rows if row.get("outside") == "returned"]
    warm = [row for row in ran if row["warm"]]
    same = [row for row in warm if row["cold"] == row["warm"] == "as outside"]
    head = HEAD.format(
        bundles=len(rows),
        ran=len(ran),
        warm=len(warm),
        same=len(same),
        dashes=" | ".join("---" for _ in NAMES),
        columns=" | ".join(NAMES),
    )
    return head + "".join(table_line(row) for row in rows)


def table_line(row: dict[str, str]) -> str:
    """Return a row as a line of a table in Markdown."""
    place = f"../tests/compatibility/{row['group']}/{row['name']}.py"
    if "fault" in row:
        cells = [f"[{row['name']}]({place})", "", "", "", f"not compared: {row['fault']}", ""]
    else:
        differs_alike = row["warm"] == row["cold"] != "as outside"
        warm = "no" if not row["warm"] else "the same" if differs_alike else row["warm"]
        lines = row["reason"].strip().splitlines() or [""]
        reason = lines[0] if len(lines) == 1 else f"{lines[0]} … {lines[-1]}"
        told = (row["outside"], row["cold"], warm, reason, row["mend"])
        cells = [f"[{row['name']}]({place})", *told]
    return (
        "| "
        + " | ".join(cell.replace("|", "/").replace("\n", " ")[:300] for cell in cells)
        + " |\n"
    )


if __name__ == "__main__":
    main()
