"""An environment as one file: packed where it was built, and laid out again on another host.

    listing.json          first: each file, its size, its SHA-256; and each link to a shared folder
    shared/<name>/…       what the environment shares with others
    environment/…         the files of its own, but for those it has in common with the shared ones

The tar holds files and nothing else. Whoever lays it out makes folders and links anew, by the
listing, so that nothing in it leads anywhere; and what an environment says of itself (its
interpreter, its lock, its inventory) comes from who activated the version, and not from the tar.
"""

import hashlib
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import TypeAdapter, ValidationError

from frozen.values import frozen
from packages.environment.inventory import FILE, INVENTORY_JSON, Inventory
from packages.environment.linking import WRITTEN, skeleton
from packages.environment.sharing import PLACE
from packages.errors import CarriedRefused
from packages.lock.lock import FILE as LOCK_FILE
from packages.lock.lock import Lock
from sandbox.command import Interpreter
from wheelhouse.durable import (
    FRESH,
    close_folders,
    flush_filesystem,
    folder_aside,
    write_new,
)
from wheelhouse.problem import Problem

LISTING = "listing.json"
OWN, SHARED = "environment", "shared"
CHUNK_BYTES = 1 << 20
LISTING_MOST_BYTES = 64 << 20
HEADERS_BYTES = 4096
"""What a file takes in the tar and in the listing beside its bytes, with a long name, at most."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file by its path in the tar; `same_as` is the path of one before it, which it links to."""

    path: str
    size_bytes: int
    sha256: str
    is_program: bool
    same_as: str = ""


@dataclass(frozen=True, slots=True)
class SharedLink:
    """A link at `path` in the environment, to `to` below the shared folder `name`."""

    path: str
    name: str
    to: str


@frozen
class Listing:
    """Everything there is, in the order in which it comes."""

    entries: tuple[Entry, ...]
    links: tuple[SharedLink, ...]


LISTING_JSON = TypeAdapter(Listing)


def most_bytes(inventory: Inventory) -> int:
    """Return how big the tar of an environment can be."""
    return inventory.size_bytes + (2 * inventory.files + 64) * HEADERS_BYTES


def pack(folder: Path, *, inventory: Inventory, to: Path) -> str:
    """Write the environment in `folder` to the new tar `to`; return its SHA-256.

    The same environment is the same bytes.
    """
    places = {f"{SHARED}/{name}": folder.parent / PLACE / name for name in inventory.shared}
    listing = Listing(entries=tuple(_entries({**places, OWN: folder})), links=tuple(_links(folder)))
    places[OWN] = folder
    with tarfile.open(to, "x", format=tarfile.PAX_FORMAT) as archive:
        told = LISTING_JSON.dump_json(listing)
        archive.addfile(_header(LISTING, size_bytes=len(told)), BytesIO(told))
        for entry in listing.entries:
            if not entry.same_as:
                with _source(entry, places).open("rb") as file:
                    archive.addfile(_header(entry.path, size_bytes=entry.size_bytes), file)
    with to.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _entries(places: Mapping[str, Path]) -> Iterator[Entry]:
    seen: dict[tuple[int, int], str] = {}
    for place, folder in places.items():
        for path in _files(folder):
            told = path.stat()
            name = f"{place}/{path.relative_to(folder).as_posix()}"
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            same = seen.setdefault((told.st_dev, told.st_ino), name)
            yield Entry(
                path=name,
                size_bytes=told.st_size,
                sha256=digest,
                is_program=bool(told.st_mode & 0o100),
                same_as="" if same == name else same,
            )


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files that wheels brought, in one order everywhere; links are made anew."""
    for root, names, files in os.walk(folder):
        names.sort()
        for name in sorted(files):
            path = Path(root) / name
            is_ours = name in (*WRITTEN, LOCK_FILE, FILE) and path.parent == folder
            if not is_ours and not path.is_symlink():
                yield path


def _links(folder: Path) -> Iterator[SharedLink]:
    for root, names, _ in os.walk(folder):
        names.sort()
        for name in names:
            path = Path(root) / name
            _, is_shared, target = str(path.readlink() if path.is_symlink() else "").partition(
                f"{PLACE}/"
            )
            if is_shared:
                shared, _, to = target.partition("/")
                yield SharedLink(path=path.relative_to(folder).as_posix(), name=shared, to=to)


def _source(entry: Entry, places: Mapping[str, Path]) -> Path:
    place, below = _split(entry.path)
    return places[place] / below


def _split(path: str) -> tuple[str, str]:
    """Return the place of a path in the tar, and the path below it."""
    parts = path.split("/")
    depth = 2 if parts[0] == SHARED else 1
    return "/".join(parts[:depth]), "/".join(parts[depth:])


def _header(name: str, *, size_bytes: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mode = size_bytes, 0o444
    return header


def unpack(
    packed: Path, *, final: Path, lock: Lock, inventory: Inventory, interpreter: Interpreter
) -> None:
    """Lay out at `final` the environment that was packed, once each file is what it should be.

    `inventory` is what the activation says of it. Raises CarriedRefused, leaving nothing.
    """
    try:
        with tarfile.open(packed, "r:") as archive, ExitStack() as stack:
            listing = _listing(archive)
            _refuse_others(listing, inventory)
            # Entered first, so that it comes to its place last: it links to the others.
            own = stack.enter_context(folder_aside(final))
            folders = {
                f"{SHARED}/{name}": stack.enter_context(folder_aside(final.parent / PLACE / name))
                for name in inventory.shared
            }
            _fill({**folders, OWN: own}, archive, listing)
            _complete(own, listing, interpreter=interpreter)
            told = replace(inventory, key=final.name)
            write_new(own / LOCK_FILE, lock.text.encode())
            write_new(own / FILE, INVENTORY_JSON.dump_json(told, indent=1))
            for folder in (*folders.values(), own):
                close_folders(folder)
            flush_filesystem(own)
    except (tarfile.TarError, ValidationError, EOFError) as error:
        raise _refused(LISTING, f"it cannot be read: {str(error)[:200]}") from error


def _listing(archive: tarfile.TarFile) -> Listing:
    first = archive.next()
    file = archive.extractfile(first) if first and first.isreg() else None
    if first is None or file is None or first.name != LISTING or first.size > LISTING_MOST_BYTES:
        raise _refused(LISTING, "it is not the first file")
    return LISTING_JSON.validate_json(file.read())


def _refuse_others(listing: Listing, inventory: Inventory) -> None:
    """Raise CarriedRefused unless a listing is of the files that the inventory counts."""
    sizes = {entry.path: entry.size_bytes for entry in listing.entries}
    places = {OWN, *(f"{SHARED}/{name}" for name in inventory.shared)}
    for path in sizes:
        place, below = _split(path)
        _refuse_path(below, above=path)
        if place not in places:
            raise _refused(path, "it belongs to nothing that was installed")
    seen = {_split(path)[1]: size for path, size in sizes.items() if _split(path)[0] == OWN}
    for link in listing.links:
        _refuse_path(link.path, above=link.path)
        begin = f"{SHARED}/{link.name}/{link.to}/"
        seen |= {
            f"{link.path}/{path.removeprefix(begin)}": size
            for path, size in sizes.items()
            if path.startswith(begin)
        }
    if len(sizes) != len(listing.entries) or len(seen) != inventory.files:
        raise _refused(LISTING, f"there are {len(seen)} files, not {inventory.files}")
    if sum(seen.values()) != inventory.size_bytes:
        raise _refused(LISTING, "the files have other sizes than those installed")


def _refuse_path(path: str, *, above: str) -> None:
    is_plain = path == PurePosixPath(path).as_posix() and "\0" not in path
    if not is_plain or path.startswith("/") or not {".", "..", ""}.isdisjoint(path.split("/")):
        raise _refused(above[:200], "it leads out of its folder")


def _fill(folders: Mapping[str, Path], archive: tarfile.TarFile, listing: Listing) -> None:
    """Write the files, each checked on its way, in the order of the listing."""
    written: dict[str, Path] = {}
    for entry in listing.entries:
        place, below = _split(entry.path)
        path = folders[place] / below
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.same_as:
            if entry.same_as not in written:
                raise _refused(entry.path, "it is to be the same as a file that does not come")
            os.link(written[entry.same_as], path)
        else:
            _write(path, entry, archive)
        written[entry.path] = path
    if archive.next() is not None:
        raise _refused(LISTING, "there are files that it does not name")


def _write(path: Path, entry: Entry, archive: tarfile.TarFile) -> None:
    member = archive.next()
    file = archive.extractfile(member) if member and member.isreg() else None
    if (
        member is None
        or file is None
        or (member.name, member.size)
        != (
            entry.path,
            entry.size_bytes,
        )
    ):
        raise _refused(entry.path, "another thing is in its place")
    with os.fdopen(os.open(path, FRESH, 0o600), "wb") as stream:
        if _copied(file, stream) != entry.sha256:
            raise _refused(entry.path, "it is not what was installed")
        os.fchmod(stream.fileno(), 0o555 if entry.is_program else 0o444)


def _copied(file: IO[bytes], stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
        stream.write(chunk)
    return digest.hexdigest()


def _complete(own: Path, listing: Listing, *, interpreter: Interpreter) -> None:
    """Make the links, and what makes a folder a virtual environment here."""
    for link in listing.links:
        path = own / link.path
        path.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * (link.path.count("/") + 1)
        path.symlink_to(f"{up}{PLACE}/{link.name}/{link.to}")
    for name in ("bin", "lib"):
        (own / name).mkdir(exist_ok=True)
    skeleton(own, interpreter)


def _refused(where: str, what: str) -> CarriedRefused:
    return CarriedRefused(
        Problem(
            code=CarriedRefused.code,
            what=what,
            where=where,
            mend="nothing to mend: the environment is built from its wheels",
        )
    )
