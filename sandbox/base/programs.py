"""The programs that a cell finds in /bin: a shell and what scripts that start others call.

They are the host's own: dash, GNU coreutils or busybox, whatever answers to the name; the walls do
not rest on which. Console scripts of packages begin with `#!/bin/sh` or `#!/usr/bin/env`, and
`subprocess.run(…, shell=True)` wants a shell.
"""

import hashlib
import shutil
from functools import cache
from pathlib import Path

NAMES = (
    *("sh", "env", "ldconfig", "true", "false", "test", "[", "echo", "printf", "expr", "sleep"),
    *("cat", "head", "tail", "tee", "wc", "cut", "tr", "sort", "uniq", "sed", "grep", "xargs"),
    *("ls", "cp", "mv", "rm", "mkdir", "rmdir", "ln", "touch", "chmod", "mktemp", "find", "stat"),
    *("readlink", "realpath", "dirname", "basename", "pwd", "which", "date", "seq", "nproc"),
    *("id", "uname", "du", "df", "od", "md5sum", "sha256sum", "base64", "gzip", "gunzip", "tar"),
)
_PLACES = ("/usr/bin", "/bin", "/usr/sbin", "/sbin")


@cache
def on_this_host() -> tuple[tuple[str, Path], ...]:
    """Return name and file of each that this host has; a name may be a link to another program."""
    return tuple((name, found) for name in NAMES if (found := _find(name)) is not None)


def files() -> tuple[Path, ...]:
    """Return the host's files, each once: by whatever name, it is the file that is run."""
    return tuple(dict.fromkeys(path for _, path in on_this_host()))


def digest() -> str:
    """Return what tells one set of them from another: names, sizes and times of change."""
    told = hashlib.sha256()
    for name, path in on_this_host():
        status = path.stat()
        told.update(f"{name} {path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return told.hexdigest()


def copy_to(folder: Path) -> None:
    """Put them into an empty folder; one that answers to several names is there once.

    A copy, and not the host's /bin: that has much more, and mounting each would cost every start.
    """
    copied: dict[Path, str] = {}
    for name, path in on_this_host():
        if path in copied:
            (folder / name).symlink_to(copied[path])
        else:
            shutil.copyfile(path, folder / name)
            copied[path] = name


def _find(name: str) -> Path | None:
    for place in _PLACES:
        path = Path(place, name)
        if path.is_file():
            return path.resolve()
    return None
