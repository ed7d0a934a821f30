# /// script
# dependencies = []
# ///

import os, pathlib

P = pathlib.Path.home() / ".cache" / "mypkg"
P.mkdir(parents=True, exist_ok=True)
(P / "model.bin").write_bytes(b"x" * 1000)


def extract(*, job, **_):
    return {"exists": (P / "model.bin").exists(), "home": str(pathlib.Path.home())}
