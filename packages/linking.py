"""Lays out an environment by hard links to unpacked wheels, checking every file's size.

The layout is that of `uv venv --relocatable` with `uv pip sync`; a contract test holds the
two against each other. Linking ourselves is what lets the bytecode come along: uv would
compile 2,000 modules for each environment (3 s), or leave that to every job.
"""

import errno
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from packages.inventory import Overlap
from sandbox.command import Interpreter
from wheelhouse.schemes import Place
from wheelhouse.target import minor_of
from wheelhouse.unpacked import Unpacked, UnpackedFile

FULL = (errno.EXDEV, errno.EMLINK, errno.EPERM)
"""Another file system, a file with 65,000 names, or one that knows no links: copy instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One wheel's files or bytecode to lay out, called `name`."""

    name: str
    unpacked: Unpacked


@dataclass(slots=True)
class Layout:
    """What laying out an environment came to."""

    root: Path
    files: int = 0
    size_bytes: int = 0
    damaged: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(part, path) of each file that is absent or has another size than RECORD says."""
    overlaps: list[Overlap] = field(default_factory=list[Overlap])


def site_packages_of(interpreter: Interpreter) -> str:
    """Return the folder of modules, relative to an environment."""
    return f"lib/python{minor_of(interpreter.version)}/site-packages"


def lay_out(root: Path, parts: Iterable[Part], *, interpreter: Interpreter) -> Layout:
    """Fill the empty folder `root` with an environment of `parts` for `interpreter`."""
    _skeleton(root, interpreter)
    places = _places(root, interpreter)
    owners: dict[str, tuple[str, UnpackedFile]] = {}
    layout = Layout(root)
    made: set[str] = set()
    for part in parts:
        base = str(part.unpacked.folder)
        for folder in part.unpacked.folders:
            source, target = f"{base}/{folder.place}", places[folder.place]
            if folder.place == "headers":
                target = f"{target}/{part.name}"
            if folder.path:
                source, target = f"{source}/{folder.path}", f"{target}/{folder.path}"
            if target not in made:
                os.makedirs(target, exist_ok=True)  # noqa: PTH103  (pathlib costs 20 % here)
                made.add(target)
            for file in folder.files:
                _place(f"{source}/{file.name}", f"{target}/{file.name}", file, part, owners, layout)
    return layout


def close_folders(root: Path) -> None:
    """Make every folder of an environment read-only."""
    for folder, _, _ in os.walk(root, topdown=False):
        os.chmod(folder, 0o555)  # noqa: PTH101, S103


def _place(
    source: str,
    target: str,
    file: UnpackedFile,
    part: Part,
    owners: dict[str, tuple[str, UnpackedFile]],
    layout: Layout,
) -> None:
    """Link one file and check its size; note where it is damaged or its place is taken."""
    try:
        os.link(source, target)
        size = os.stat(target).st_size  # noqa: PTH116
    except FileExistsError:
        _overlap(target, file, part, owners, layout)
        return
    except FileNotFoundError:
        layout.damaged.append((part.name, source))
        return
    except OSError as error:
        if error.errno not in FULL:
            raise
        shutil.copy2(source, target)
        size = os.stat(target).st_size  # noqa: PTH116
    if size != file.size_bytes:
        layout.damaged.append((part.name, source))
    owners[target] = (part.name, file)
    layout.files += 1
    layout.size_bytes += size


def _overlap(
    target: str,
    file: UnpackedFile,
    part: Part,
    owners: dict[str, tuple[str, UnpackedFile]],
    layout: Layout,
) -> None:
    """Note that two wheels bring the same file, unless it is the same to the last byte."""
    owner, kept = owners.get(target, ("python", None))
    if kept is None or kept.sha256 != file.sha256:
        path = target.removeprefix(f"{layout.root}/")
        layout.overlaps.append(Overlap(path=path, kept=owner, left_out=part.name))


def _places(root: Path, interpreter: Interpreter) -> dict[Place, str]:
    version = minor_of(interpreter.version)
    return {
        "site": f"{root}/{site_packages_of(interpreter)}",
        "bin": f"{root}/bin",
        "root": str(root),
        "headers": f"{root}/include/site/python{version}",
    }


def _skeleton(root: Path, interpreter: Interpreter) -> None:
    """Write what makes a folder a virtual environment (PEP 405), with nothing installed."""
    minor = minor_of(interpreter.version)
    (root / site_packages_of(interpreter)).mkdir(parents=True)
    (root / "bin").mkdir()
    (root / "lib64").symlink_to("lib")
    (root / "bin" / "python").symlink_to(interpreter.executable)
    for name in ("python3", f"python{minor}"):
        (root / "bin" / name).symlink_to("python")
    settings = {
        "home": interpreter.executable.parent,
        "implementation": "CPython",
        "version_info": interpreter.version,
        "include-system-site-packages": "false",
        "relocatable": "true",
    }
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (root / "pyvenv.cfg").write_text(lines, "utf-8")
    (root / "pyvenv.cfg").chmod(0o444)
