"""An interpreter that every user of this machine can reach, by hard links: no copy, no cost."""

import shutil
import subprocess
import sys
from pathlib import Path

from sandbox.command import Interpreter
from sandbox.isolation import this_interpreter


def reachable_copy(folder: Path) -> Interpreter:
    """Return the running interpreter as it can be reached below `folder`."""
    own = this_interpreter()
    prefix = folder / "python"
    if not prefix.exists():
        link = ["cp", "-al", str(own.prefix), str(prefix)]
        if own.prefix == Path("/usr") or subprocess.run(link, check=False).returncode != 0:
            shutil.rmtree(prefix, ignore_errors=True)
            if own.prefix == Path("/usr"):
                return own
            shutil.copytree(own.prefix, prefix, symlinks=True)
    executable = prefix / own.executable.relative_to(own.prefix)
    return Interpreter(executable=executable, prefix=prefix, version=own.version, soabi=own.soabi)


def run_environment(interpreter: Interpreter, *, project: Path) -> dict[str, str]:
    """Return the variables with which another user can run this project's tests."""
    site_packages = next(path for path in sys.path if path.endswith("site-packages"))
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": str(interpreter.prefix / "lib"),
        "PYTHONPATH": f"{project}:{site_packages}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
    }
