"""Builds a wheel from a source tree by its PEP 517 backend; runs behind the walls, on 3.9+."""

import importlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any


def run(*, job: Any, source: str, backend: str, backend_path: Any, step: str, **_: Any) -> Any:
    """Ask the backend what it further needs (`step` requires), or let it build (`step` build).

    The tree is copied to scratch first, since backends write into it.
    """
    tree = Path(job.scratch_dir, "tree")
    shutil.copytree(source, tree)
    for folder in [tree, *tree.rglob("*")]:
        folder.chmod(0o755 if folder.is_dir() else 0o644)
    os.chdir(tree)
    sys.path[:0] = [str(tree / path) for path in backend_path]
    hooks = _resolve(backend)
    if step == "requires":
        ask = getattr(hooks, "get_requires_for_build_wheel", None)
        return {"requires": list(ask({})) if ask else []}
    return {"wheel": hooks.build_wheel(str(job.output_dir), {}, None)}


def _resolve(backend: str) -> Any:
    """Return the object that `module:attribute` names."""
    module, _, path = backend.partition(":")
    found = importlib.import_module(module)
    for name in path.split(".") if path else ():
        found = getattr(found, name)
    return found
