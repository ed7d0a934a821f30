"""Compiles every module below a folder in sight; runs behind the walls, on CPython 3.9+.

The .pyc files are unchecked-hash ones: whoever imports them never looks at the source's
time, so they stay right under hard links and read-only mounts.
"""

import importlib.machinery
import importlib.util
import marshal
import sys
from pathlib import Path
from typing import Any

UNCHECKED_HASH = (1).to_bytes(4, "little")
MOST_FAILURES = 200


def run(*, job: Any, source: str, shown_as: str, **_: Any) -> Any:
    """Compile each .py below `source` into the output folder, in the same layout.

    `shown_as` is the folder that tracebacks shall name. Returns what did not compile.
    """
    sys.setrecursionlimit(5000)
    modules = sorted(Path(source).rglob("*.py"))
    told = [(str(path.relative_to(source)), path) for path in modules if path.is_file()]
    errors = [[below, _compile(path, below, job.output_dir, shown_as)] for below, path in told]
    failed = [pair for pair in errors if pair[1]]
    return {"modules": len(told), "failed": failed[:MOST_FAILURES]}


def _compile(path: Path, below: str, output_dir: Any, shown_as: str) -> str:
    """Write the .pyc of one module; return why that was not possible, or nothing."""
    source = path.read_bytes()
    shown = f"{shown_as}/{below}"
    loader = importlib.machinery.SourceFileLoader("<fumehood>", shown)
    try:
        code = loader.source_to_code(source, shown)
    except Exception as error:  # a module that nobody can import needs no .pyc
        return f"{type(error).__name__}: {error}"
    target = Path(output_dir, importlib.util.cache_from_source(below))
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = importlib.util.source_hash(source)
    target.write_bytes(importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + digest + marshal.dumps(code))
    return ""
