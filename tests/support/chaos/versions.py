"""Another version of the code beside this one, with an environment of its own."""

import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[3]
THIS, OTHER = 'version = "0.1.0"', 'version = "0.1.0+beside"'
INSTALL = (
    "source scripts/setting_up.sh; find_python; find_uv; "
    'sync_environment "$project/.venv" --all-extras --no-dev'
)


def installed(revision: str, *, folder: Path) -> Path:
    """Return the program of `revision`, installed below `folder`; it says that it is another.

    Raises ValueError where its migrations are not ours: then one of the two refuses to start.
    """
    folder.mkdir()
    tree = subprocess.run(
        ["git", "-C", PROJECT, "archive", revision], capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", folder], input=tree.stdout, check=True)
    if _migrations(folder) != _migrations(PROJECT):
        raise ValueError(f"{revision} has other migrations: no two of these work side by side")
    about = folder / "pyproject.toml"
    about.write_text(about.read_text().replace(THIS, OTHER, 1))
    subprocess.run(["bash", "-c", INSTALL], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / ".venv/bin/fumehood"


def _migrations(project: Path) -> list[str]:
    return sorted(one.name for one in (project / "runtime/store/migrations/versions").glob("0*.py"))
