"""Everything that starts uv: one pinned way to call it, and nothing from outside leaks in.

uv gets no configuration file, no PATH, no home, an environment of our own making, and a
private cache that dies with the call. It is killed when we die (PR_SET_PDEATHSIG) and when
the call is cancelled.
"""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from uv import find_uv_bin

from frozen.values import frozen
from packages.tools import UV, bounded

SYSTEM_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/ca-bundle.pem"),
)
"""Where distributions keep what the host trusts; a company's own CA is in there too."""
MOST_OUTPUT_BYTES = 1 << 20


@frozen
class UvEnd:
    """How a call of uv ended, and what it wrote to stderr (and stdout)."""

    code: int
    stderr: str


class UvTimeoutError(Exception):
    """uv did not come to an end in its time."""


async def compile_pylock(
    *,
    requirements: str,
    constraints: str,
    python: Path,
    sources: Sequence[str],
    variables: Mapping[str, str],
    timeout_s: float,
    scratch: Path,
) -> tuple[UvEnd, str]:
    """Run `uv pip compile` in the empty folder `scratch`; return what it said and the lock.

    `sources` are the options that say where distributions come from.
    """
    (scratch / "requirements.in").write_text(requirements, "utf-8")
    (scratch / "constraints.txt").write_text(constraints, "utf-8")
    argv = [
        *("pip", "compile", "requirements.in"),
        *(("--constraints", "constraints.txt") if constraints else ()),
        *("--python", str(python), "--no-python-downloads", "--only-binary", ":all:"),
        *("--format", "pylock.toml", "--output-file", "pylock.toml", "--no-header"),
        *("--no-annotate", *sources),
    ]
    said = await call(argv, variables=variables, scratch=scratch, timeout_s=timeout_s)
    made = scratch / "pylock.toml"
    return said, made.read_text("utf-8") if said.code == 0 and made.is_file() else ""


async def call(
    argv: Sequence[str], *, variables: Mapping[str, str], scratch: Path, timeout_s: float
) -> UvEnd:
    """Run uv with `argv` in `scratch`. Raises UvTimeoutError after killing it."""
    process = await asyncio.create_subprocess_exec(
        find_uv_bin(),
        *argv,
        *("--no-config", "--no-progress", "--color", "never"),
        cwd=scratch,
        env=_environment(scratch, variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        preexec_fn=bounded(UV),
    )
    try:
        async with asyncio.timeout(timeout_s):
            _, stderr = await process.communicate()
    except TimeoutError as error:
        raise UvTimeoutError from error
    finally:
        await _end(process)
    text = stderr[:MOST_OUTPUT_BYTES].decode("utf-8", "replace")
    return UvEnd(code=process.returncode or 0, stderr=text)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the whole process group, if it is still there, and reap it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _environment(scratch: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Return uv's whole environment: its own folders, and what the index needs."""
    return {
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "XDG_CONFIG_HOME": str(scratch),
        "XDG_DATA_HOME": str(scratch),
        "UV_CACHE_DIR": str(scratch / "cache"),
        "UV_HTTP_RETRIES": "1",
        "NETRC": os.devnull,
        "LANG": "C.UTF-8",
        **({"UV_SYSTEM_CERTS": "true"} if any(map(Path.exists, SYSTEM_BUNDLES)) else {}),
        **variables,
    }


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a private folder for one call, removed with its cache afterwards."""
    return tempfile.TemporaryDirectory(prefix="fumehood-uv-")
