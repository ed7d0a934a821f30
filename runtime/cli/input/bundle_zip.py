"""A bundle's folder as a zip, the same bytes for the same content on every machine."""

import tempfile
import zipfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from packages.bundle.leftovers import is_leftover
from runtime.faults.errors import InputRefused, NotFound
from wheelhouse.problem import Problem

EPOCH = (1980, 1, 1, 0, 0, 0)
LEFT_OUT = frozenset({"__pycache__", ".git", ".venv", "node_modules"})


@contextmanager
def bundle_file(path: Path) -> Generator[Path]:
    """Offer the bundle at `path` as a file: as it is, or zipped where it is a folder."""
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise NotFound(
            f"There is no file or folder {path}",
            where=str(path),
            mend="give a bundle's folder, or its zip or tar.gz",
        )
    with tempfile.TemporaryDirectory(prefix="fumehood-bundle-") as aside:
        archive = Path(aside) / f"{path.resolve().name}.zip"
        zip_folder(path, archive=archive)
        yield archive


def zip_folder(folder: Path, *, archive: Path) -> None:
    """Write the files below `folder` to `archive`, without caches and version control."""
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if not LEFT_OUT.intersection(path.relative_to(folder).parts)
        and not is_leftover(path.relative_to(folder).as_posix())
    ]
    _refuse_odd_files(paths, folder=folder)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in paths:
            name = path.relative_to(folder)
            if path.is_file():
                entry = zipfile.ZipInfo(name.as_posix(), date_time=EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o100644 << 16
                zipped.writestr(entry, path.read_bytes())


def _refuse_odd_files(paths: Sequence[Path], *, folder: Path) -> None:
    """Refuse links, which could bring any file of this machine along, and what is no file.

    Nor can a zip hold a name that is not UTF-8.
    """
    odd = [path for path in paths if path.is_symlink() or not (path.is_file() or path.is_dir())]
    unnamed = [path for path in paths if not _is_utf8(path)]
    if odd or unnamed:
        raise InputRefused(
            "The bundle's folder holds what a bundle cannot",
            problems=[
                *(_odd(path, folder=folder) for path in odd),
                *(_unnamed(path, folder=folder) for path in unnamed),
            ],
        )


def _is_utf8(path: Path) -> bool:
    """Return whether the name is text: os.fsdecode has a lone surrogate for any other byte."""
    return path.name.encode(errors="replace").decode() == path.name


def _unnamed(path: Path, *, folder: Path) -> Problem:
    return Problem(
        code="bad-name",
        what="its name is not UTF-8",
        where=ascii(path.relative_to(folder).as_posix()),
        mend="rename it, or remove it",
    )


def _odd(path: Path, *, folder: Path) -> Problem:
    return Problem(
        code="link" if path.is_symlink() else "not-a-file",
        what=f"it is {'a link' if path.is_symlink() else 'neither file nor folder'}",
        where=path.relative_to(folder).as_posix(),
        mend="put a regular file there, or remove it",
    )
