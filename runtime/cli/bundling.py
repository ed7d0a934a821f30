"""A bundle's folder as a zip, the same bytes for the same content on every machine."""

import tempfile
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import NotFound

EPOCH = (1980, 1, 1, 0, 0, 0)
LEFT_OUT = frozenset({"__pycache__", ".git", ".venv", "node_modules"})


@contextmanager
def bundle_file(path: Path) -> Generator[Path]:
    """Offer the bundle at `path` as a file: as it is, or zipped where it is a folder."""
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise NotFound(f"There is no file or folder {path}", where=str(path))
    with tempfile.TemporaryDirectory(prefix="fumehood-bundle-") as aside:
        archive = Path(aside) / f"{path.resolve().name}.zip"
        zip_folder(path, archive=archive)
        yield archive


def zip_folder(folder: Path, *, archive: Path) -> None:
    """Write the files below `folder` to `archive`, without caches and version control."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if path.is_file() and not LEFT_OUT.intersection(name.parts):
                entry = zipfile.ZipInfo(name.as_posix(), date_time=EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o100644 << 16
                zipped.writestr(entry, path.read_bytes())
