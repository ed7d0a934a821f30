"""The settings in force for a command; says which files they were read from."""

from collections.abc import Callable, Mapping
from pathlib import Path

from runtime.cli.output.printing import say_to_people
from runtime.settings.settings import Settings, load


def settings_in_force(
    flags: Mapping[str, object] | None = None,
    *,
    config_file: Path | None = None,
    say: Callable[[str], None] = say_to_people,
) -> Settings:
    """Return the settings in force; say which files they were read from."""
    loaded = load(flags, config_file=config_file)
    if loaded.files:
        say(f"settings are read from {', '.join(map(str, loaded.files))}")
    return loaded.settings
