"""Groups that know their commands by name and summary, and load the one that is called."""

import importlib
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

type Table = Mapping[str, tuple[str, str]]
"""The name of each command, to where it is (module:function, or a group) and its summary."""


def lazy_group(commands: Table) -> type[TyperGroup]:
    """Return a group of `commands`, in their order."""

    class LazyGroup(TyperGroup):
        def list_commands(self, ctx: Any) -> list[str]:
            """Return the names, in the order of the table."""
            return list(commands)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            """Return a command as the help shows it."""
            if cmd_name not in commands:
                return None
            return TyperCommand(name=cmd_name, help=commands[cmd_name][1])

        def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
            """Return the command that `args` begin with, loaded."""
            if args and args[0] in commands:
                return args[0], _load(args[0], commands[args[0]][0]), args[1:]
            return super().resolve_command(ctx, args)

    return LazyGroup


def _load(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        lonely = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        lonely.command(name=name)(found)
        found = lonely
    return typer.main.get_command(found)
