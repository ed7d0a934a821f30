"""`fumehood preset`: filters of jobs under a name."""

from typing import Annotated, Any

import typer

from runtime.cli.client import connected
from runtime.cli.input.arguments import plain
from runtime.cli.input.conditions import Conditions, with_conditions
from runtime.cli.output.printing import AsJson, emit, say, table
from runtime.client.around import list_presets, remove_preset, save_preset

app = typer.Typer(no_args_is_help=True, help="Save filters of jobs under a name.")
PresetName = Annotated[str, typer.Argument(help="The name of the preset.", callback=plain)]


@app.command()
@with_conditions
def save(name: PresetName, *, wanted: Conditions, as_json: AsJson = False) -> None:
    """Save a filter; `fumehood job list --preset NAME` takes it."""
    with connected() as client:
        saved = client.ask(save_preset(name, wanted=wanted))
    emit(saved, as_json=as_json, show=lambda one: f"saved {one['name']}")


@app.command("list")
def list_all(*, as_json: AsJson = False) -> None:
    """List the presets that you have saved."""
    with connected() as client:
        found = list(client.every(list_presets()))
    emit(found, as_json=as_json, show=_rows)


def _rows(found: list[Any]) -> str:
    rows = [{**one, "wanted": _conditions_text(one["wanted"])} for one in found]
    return table(rows, columns=("name", "wanted", "at"))


def _conditions_text(wanted: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in wanted.items() if value) or "every job"


@app.command()
def remove(name: PresetName) -> None:
    """Forget a preset."""
    with connected() as client:
        client.ask(remove_preset(name))
    say(f"forgot {name}")
