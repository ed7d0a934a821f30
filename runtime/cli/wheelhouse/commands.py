"""`fumehood wheelhouse`: its commands by name; most need little, and some need much."""

import typer

from runtime.cli.lazy import Table, lazy_group

COMMANDS: Table = {
    "add": (
        "runtime.cli.wheelhouse.add_remove:add",
        "Add wheels to the wheelhouse; each is judged first.",
    ),
    "list": (
        "runtime.cli.wheelhouse.listing:list_wheels",
        "List the wheels and how they came there.",
    ),
    "show": (
        "runtime.cli.wheelhouse.listing:show",
        "Show all that is known of a distribution's wheels.",
    ),
    "verify": (
        "runtime.cli.wheelhouse.listing:verify",
        "Compute every digest; find what is missing.",
    ),
    "missing": (
        "runtime.cli.wheelhouse.listing:missing",
        "List what failed locks lacked, for `mirror`.",
    ),
    "mirror": (
        "runtime.cli.wheelhouse.transfer:mirror",
        "Fetch a closed set, on a connected machine.",
    ),
    "export": ("runtime.cli.wheelhouse.transfer:export_all", "Write wheels to one signed archive."),
    "import": ("runtime.cli.wheelhouse.transfer:import_all", "Add the wheels of a signed archive."),
    "build": ("runtime.cli.wheelhouse.build:build", "Build a wheel from source, in a cell."),
    "yank": ("runtime.cli.wheelhouse.prune:yank", "Mark a wheel as one that new locks avoid."),
    "remove": ("runtime.cli.wheelhouse.add_remove:remove", "Remove a wheel."),
    "prune": ("runtime.cli.wheelhouse.prune:prune", "Remove the wheels that nothing needs."),
    "advisories": (
        "runtime.cli.wheelhouse.advisories:app",
        "Import and show known vulnerabilities.",
    ),
}

app = typer.Typer(
    cls=lazy_group(COMMANDS),
    no_args_is_help=True,
    add_completion=False,
    help="Add wheels, see which there are, carry them.",
)


@app.callback()
def _group() -> None:
    """Add wheels, see which there are, carry them."""
