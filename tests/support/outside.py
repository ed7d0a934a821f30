"""Runs one bundle as its author would, without walls: the other half of every comparison.

It is started by the interpreter of a plain virtual environment, and imports nothing of ours.
"""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace


def main() -> None:
    """Call extract(job=…) of the bundle in argv[1]; write what came of it to argv[2]."""
    bundle, told, room = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    job = SimpleNamespace(
        inputs=[Path(path) for path in sys.argv[4:]],
        output_dir=room / "output",
        scratch_dir=room / "scratch",
        parameters={},
    )
    os.chdir(job.scratch_dir)
    sys.argv = ["extract:extract"]
    sys.path.insert(0, str(bundle))
    try:
        value = __import__("extract").extract(job=job)
        said = {"ending": "returned", "value": value}
    except BaseException as fault:
        said = {"ending": "raised", "what": f"{type(fault).__name__}: {fault}"}
    told.write_text(json.dumps(said, default=_plain))


def _plain(value: object) -> object:
    item = getattr(value, "item", None)
    return item() if callable(item) else str(value)


if __name__ == "__main__":
    main()
