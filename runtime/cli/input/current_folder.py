"""What lies in the current folder is not settings: it may be a stranger's bundle.

Kept apart from the settings, since it is said before any command, and those take 0.25 s to load.
"""

import os
import sys
from pathlib import Path

from runtime.cli.output.printing import say_to_people

FORMER_SETTINGS = "fumehood.toml"
"""Read in early versions; looked for only to say that it no longer is."""


def warn_of_ignored_settings() -> None:
    """Say if there is a settings file in the current folder that nobody named."""
    here = Path.cwd() / FORMER_SETTINGS
    words = [os.environ.get("FUMEHOOD_CONFIG", ""), *sys.argv]
    named = {Path(word.removeprefix("--config=")).absolute() for word in words}
    if here.is_file() and here not in named:
        say_to_people(
            f"{here} is not read: the current folder may be anybody's. "
            f"To use it, set FUMEHOOD_CONFIG={here}"
        )
