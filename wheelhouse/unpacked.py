"""Each wheel unpacked once per host, its RECORD verified, ready to be linked.

    unpacked/<sha256>/site|bin|root|headers/…   read-only files, as an environment wants them
    unpacked/<sha256>/files.json                every file with its size and digest
    bytecode/<sha256>/<cache tag>/…             the same for its .pyc files

The folder appears whole, by a rename. The wheel's own digest and each file's digest are
checked here, once; whoever links the files later checks sizes only.
"""

import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter

from frozen.values import frozen
from wheelhouse.archives.zipfiles import files_of
from wheelhouse.durable import flush_filesystem, folder_aside, remove_tree, write_file
from wheelhouse.errors import WheelCorrupt
from wheelhouse.metadata.record import RecordLine, read_record, record_digest
from wheelhouse.metadata.schemes import Place, Placed, place
from wheelhouse.metadata.scripts import launchers, relocated
from wheelhouse.metadata.wheel import digest_of
from wheelhouse.problem import Problem
from wheelhouse.store import Wheel, Wheelhouse

INSTALLER = b"fumehood\n"


@dataclass(frozen=True, slots=True)
class UnpackedFile:
    """A file in its folder; `sha256` as RECORD spells it (urlsafe base64, no padding)."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class UnpackedFolder:
    """A folder (its path below `place`, "" for the place itself) and the files in it."""

    place: Place
    path: str
    files: tuple[UnpackedFile, ...]


@frozen
class Unpacked:
    """An unpacked wheel, or its bytecode: where it is, and what is in it.

    `folder` has one folder for each place that `folders` names.
    """

    folder: Path
    folders: tuple[UnpackedFolder, ...]

    def file_count(self) -> int:
        """Return how many files there are."""
        return sum(len(folder.files) for folder in self.folders)


FOLDERS_JSON = TypeAdapter(tuple[UnpackedFolder, ...])


def unpacked_folder(wheelhouse: Wheelhouse, wheel: Wheel) -> Path:
    """Return where `wheel` is, or will be, unpacked."""
    return wheelhouse.root / "unpacked" / wheel.hex_digest


def bytecode_folder(wheelhouse: Wheelhouse, wheel: Wheel, *, cache_tag: str) -> Path:
    """Return where the bytecode of `wheel` for the interpreters of `cache_tag` is kept."""
    return wheelhouse.root / "bytecode" / wheel.hex_digest / cache_tag


def unpack(wheelhouse: Wheelhouse, wheel: Wheel) -> Unpacked:
    """Unpack `wheel`, unless that was done before. Raises WheelCorrupt, leaving nothing."""
    folder = unpacked_folder(wheelhouse, wheel)
    if folder.is_dir() and _has_cached_bytecode(read_unpacked(folder)):
        remove_tree(folder)  # by an earlier version
    if not folder.is_dir():
        with folder_aside(folder) as aside:
            write_listing(aside, _spread(wheelhouse.path(wheel), wheel, aside))
            flush_filesystem(aside)
    return read_unpacked(folder)


def read_unpacked(folder: Path) -> Unpacked:
    """Return what was unpacked to `folder`."""
    folders = FOLDERS_JSON.validate_json((folder / "files.json").read_bytes())
    return Unpacked(folder=folder, folders=folders)


def write_listing(folder: Path, files: Iterable[tuple[Place, str, UnpackedFile]]) -> None:
    """Write files.json of `folder` from (place, folder path, file) triples; close the folders."""
    gathered: dict[tuple[Place, str], list[UnpackedFile]] = {}
    for where, parent, file in files:
        gathered.setdefault((where, parent), []).append(file)
        for above in PurePosixPath(parent).parents:
            gathered.setdefault((where, "" if str(above) == "." else str(above)), [])
    listing = tuple(
        UnpackedFolder(where, parent, tuple(sorted(found, key=lambda f: f.name)))
        for (where, parent), found in sorted(gathered.items())
    )
    write_file(folder / "files.json", FOLDERS_JSON.dump_json(listing), mode=0o444)
    folder.chmod(0o755)


def verify_unpacked(unpacked: Unpacked) -> list[str]:
    """Return each file that is missing or no longer has its digest, by full SHA-256."""
    return [path for path, file in _each(unpacked) if not _is_whole(unpacked.folder / path, file)]


def forget_unpacked(wheelhouse: Wheelhouse, wheel: Wheel) -> None:
    """Remove what was unpacked and compiled of `wheel`, so that it is made anew."""
    remove_tree(unpacked_folder(wheelhouse, wheel))
    remove_tree(wheelhouse.root / "bytecode" / wheel.hex_digest)


def is_cached_bytecode(path: str) -> bool:
    """Return whether `path` is what Python would run instead of a source, unseen.

    A wheel's own .pyc may say that nobody has to look at the source (PEP 552, unchecked hash), and
    may even lie beside another wheel's source. We compile each source ourselves. A .pyc that is
    not in __pycache__ is a module without source, and stays (see Inventory.sourceless).
    """
    folder, _, name = path.rpartition("/")
    return folder.rpartition("/")[2] == "__pycache__" and name.endswith((".pyc", ".pyo"))


def _has_cached_bytecode(unpacked: Unpacked) -> bool:
    return any(is_cached_bytecode(path) for path, _ in _each(unpacked))


def _each(unpacked: Unpacked) -> Iterator[tuple[str, UnpackedFile]]:
    for folder in unpacked.folders:
        for file in folder.files:
            parts = [folder.place, folder.path, file.name]
            yield "/".join(part for part in parts if part), file


def _is_whole(path: Path, file: UnpackedFile) -> bool:
    try:
        return (
            path.stat().st_size == file.size_bytes
            and record_digest(path.read_bytes()) == file.sha256
        )
    except FileNotFoundError:
        return False


def _spread(source: Path, wheel: Wheel, aside: Path) -> list[tuple[Place, str, UnpackedFile]]:
    """Write every file of the wheel to its place below `aside`, checking each digest."""
    if digest_of(source) != wheel.sha256:
        raise WheelCorrupt(_corrupt(wheel, f"its digest is no longer {wheel.sha256}"))
    with zipfile.ZipFile(source) as archive:
        names = [entry.filename for entry in files_of(archive)]
        info = next(n.split("/", 1)[0] for n in names if n.split("/", 1)[0].endswith(".dist-info"))
        told = {line.path: line for line in read_record(archive.read(f"{info}/RECORD").decode())}
        written: list[tuple[Placed, UnpackedFile]] = []
        for name in names:
            placed = place(name, data_folder=info.removesuffix(".dist-info") + ".data")
            if placed is None or is_cached_bytecode(placed.path):
                continue
            if not name.startswith(f"{info}/RECORD"):
                content = archive.read(name)
                if not wheel.record_faults:  # told, and the wheel's own digest was right
                    _check(content, told[name], wheel)
                mode = archive.getinfo(name).external_attr >> 16
                written.append((placed, _write_entry(aside, placed, content, mode=mode)))
        if f"{info}/entry_points.txt" in names:
            written += _write_launchers(aside, archive.read(f"{info}/entry_points.txt").decode())
    written += _write_installed_record(aside, info, written)
    return [(p.place, p.path.rpartition("/")[0], file) for p, file in written]


def _check(content: bytes, line: RecordLine, wheel: Wheel) -> None:
    """Raise WheelCorrupt where `content` has not the digest that `line` says."""
    if record_digest(content, algorithm=line.algorithm) != line.digest:
        raise WheelCorrupt(_corrupt(wheel, f"{line.path} is not what RECORD says"))


def _write_entry(aside: Path, placed: Placed, content: bytes, *, mode: int) -> UnpackedFile:
    if placed.place == "bin":
        return _write(aside, placed, relocated(content), is_executable=True)
    return _write(aside, placed, content, is_executable=bool(mode & 0o111))


def _write_launchers(aside: Path, entry_points: str) -> list[tuple[Placed, UnpackedFile]]:
    written: list[tuple[Placed, UnpackedFile]] = []
    for name, content in launchers(entry_points):
        if not (aside / "bin" / name).exists():
            placed = Placed(entry="", place="bin", path=name)
            written.append((placed, _write(aside, placed, content, is_executable=True)))
    return written


def _write_installed_record(
    aside: Path, info: str, written: list[tuple[Placed, UnpackedFile]]
) -> list[tuple[Placed, UnpackedFile]]:
    """Write INSTALLER and the RECORD of what an environment gets of this wheel.

    Headers are left out: their place depends on the interpreter's version.
    """
    installer = Placed(entry="", place="site", path=f"{info}/INSTALLER")
    extra = [(installer, _write(aside, installer, INSTALLER, is_executable=False))]
    lines = [
        f"{_quoted(p.record_path)},sha256={file.sha256},{file.size_bytes}"
        for p, file in [*written, *extra]
        if p.place != "headers"
    ]
    record = Placed(entry="", place="site", path=f"{info}/RECORD")
    content = "\n".join(sorted([*lines, f"{_quoted(record.path)},,"])) + "\n"
    return [*extra, (record, _write(aside, record, content.encode(), is_executable=False))]


def _write(aside: Path, placed: Placed, content: bytes, *, is_executable: bool) -> UnpackedFile:
    path = aside / placed.place / placed.path
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        os.fchmod(stream.fileno(), 0o555 if is_executable else 0o444)
    return UnpackedFile(path.name, len(content), record_digest(content))


def _quoted(path: str) -> str:
    return '"' + path.replace('"', '""') + '"' if "," in path or '"' in path else path


def _corrupt(wheel: Wheel, what: str) -> Problem:
    mend = (
        f"`fumehood wheelhouse remove {wheel.sha256}`, then add a good copy "
        f"(`fumehood wheelhouse add {wheel.filename}`) or fetch it again through the gate"
    )
    return Problem(code="corrupt-wheel", what=what, where=wheel.filename, mend=mend)
