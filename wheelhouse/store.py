"""The house itself: wheels by content, each judged, with its origin and metadata beside it.

    wheels/<name>/<sha256>/<file>.whl            the wheel, read-only
    wheels/<name>/<sha256>/<file>.whl.metadata   its METADATA (PEP 658)
    wheels/<name>/<sha256>/wheel.json            its facts and origin
    simple/<name>/index.html                     the same as an index that uv reads from disk

A wheel's folder appears whole, by a rename. The index pages are made from the folders and
can be made again at any time.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from packaging.utils import canonicalize_name
from packaging.version import Version
from pydantic import TypeAdapter

from frozen.values import frozen
from wheelhouse.durable import fresh_beside, publish, remove_tree, write_file
from wheelhouse.errors import WheelNotFound, WheelRefused
from wheelhouse.index import IndexFile, project_html
from wheelhouse.judges.pool import Judges
from wheelhouse.locks import exclusive
from wheelhouse.metadata.wheel import METADATA, WHEEL, WheelFacts
from wheelhouse.problem import Problem

MOST_NAME_CHARS = 200
"""No wheel has a longer name, and no folder could (NAME_MAX)."""

type OriginKind = Literal["uploaded", "fetched", "built"]


@frozen
class Origin:
    """How a wheel came into the house: when (UTC), by whom, from which index, and why."""

    kind: OriginKind
    at: datetime
    by: str
    index: str = ""
    note: str = ""


@frozen
class Wheel(WheelFacts):
    """A wheel in the house, and how it came here; `yanked` is the reason, if it was."""

    origin: Origin
    yanked: str | None = None

    def index_file(self) -> IndexFile:
        """Return the wheel as a line of an index page."""
        return IndexFile(
            filename=self.filename,
            sha256=self.hex_digest,
            size_bytes=self.size_bytes,
            requires_python=self.requires_python,
            metadata_sha256=self.metadata_sha256,
            yanked=self.yanked,
            uploaded_at=self.origin.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the wheel as plain JSON."""
        return WHEEL_JSON.dump_python(self, mode="json")


WHEEL_JSON = TypeAdapter(Wheel)


@dataclass(slots=True, kw_only=True)
class Staged:
    """A judged wheel beside its place, or there already (`aside` is None then)."""

    wheel: Wheel
    aside: Path | None
    final: Path
    is_kept: bool = False

    def keep(self) -> None:
        """Put the wheel in its place: one rename, and a flush."""
        if self.aside is not None:
            self.is_kept = publish(self.aside, self.final)

    def forget(self) -> None:
        """Take back what `keep` did; what was there before stays."""
        if self.is_kept:
            remove_tree(self.final)


class Wheelhouse:
    """The wheels below `root`. Safe to use from several processes at once."""

    def __init__(self, root: Path, *, judges: Judges | None = None):
        self.root = root
        self.judges = judges or Judges()

    def add(self, path: Path, *, origin: Origin, filename: str = "") -> Wheel:
        """Judge the wheel at `path` and keep it. Raises WheelRefused with every fault.

        A wheel that is already here keeps its first origin. `filename` is the wheel's name
        where the file at `path` has another.
        """
        with self.staged(path, origin=origin, filename=filename) as staged:
            staged.keep()
            try:
                return self.shown(staged)
            except BaseException:
                staged.forget()  # what nobody can list must not be there either
                raise

    @contextmanager
    def staged(self, path: Path, *, origin: Origin, filename: str = "") -> Generator["Staged"]:
        """Judge the wheel at `path`, and offer it ready to be kept; it is gone if nobody does.

        Raises WheelRefused with every fault.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".judged-", dir=self.root) as judged:
            facts, problems = self._judged(path, filename=filename or path.name, folder=judged)
            if facts is None:
                raise WheelRefused(*problems)
            wheel = Wheel(**{f.name: getattr(facts, f.name) for f in fields(facts)}, origin=origin)
            final = self._folder(wheel.name, wheel.hex_digest)
            if final.is_dir():
                yield Staged(wheel=wheel, aside=None, final=final)
                return
            self._refuse_taken(wheel)
            aside = fresh_beside(final)
            try:
                _fill(aside, path, wheel, metadata=Path(judged) / METADATA)
                yield Staged(wheel=wheel, aside=aside, final=final)
            finally:
                remove_tree(aside)
                with contextlib.suppress(OSError):  # wheels of that name are there
                    final.parent.rmdir()

    def _judged(
        self, path: Path, *, filename: str, folder: str
    ) -> tuple[WheelFacts | None, list[Problem]]:
        budget = WHEEL.budget.for_input(path.stat().st_size)
        whole = str(path.resolve())
        facts, problems = self.judges.judge(
            WHEEL, about=filename, budget=budget, path=whole, filename=filename, folder=folder
        )
        if problems or facts is None or facts.filename != filename:
            return None, problems
        return facts, []

    def shown(self, staged: "Staged") -> Wheel:
        """Return what was staged and kept, with its index page up to date."""
        self.refresh(staged.wheel.name)
        return _read(staged.final)

    def wheels(self) -> Iterator[Wheel]:
        """Yield every wheel, by name, then newest version first."""
        for name in self.names():
            yield from self.find(name)

    def names(self) -> list[str]:
        """Return the names of all distributions here, sorted."""
        folder = self.root / "wheels"
        return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []

    def find(self, name: str) -> list[Wheel]:
        """Return the wheels of the distribution `name`, newest version first."""
        folder = self.root / "wheels" / canonicalize_name(name)
        if len(folder.name) > MOST_NAME_CHARS or not folder.is_dir():
            return []
        found = [_read_if_there(p) for p in folder.iterdir() if not p.name.startswith(".")]
        wheels = [wheel for wheel in found if wheel is not None]
        return sorted(wheels, key=lambda w: (Version(w.version), w.filename), reverse=True)

    def get(self, digest: str, *, name: str = "") -> Wheel:
        """Return the wheel with the digest `sha256:<hex>`. Raises WheelNotFound.

        Where the distribution's `name` is known the answer costs one read.
        """
        hex_digest = digest.removeprefix("sha256:")
        for candidate in [canonicalize_name(name)] if name else self.names():
            folder = self._folder(candidate, hex_digest)
            if len(hex_digest) == 64 and folder.is_dir():
                return _read(folder)
        raise WheelNotFound(
            Problem(
                code="wheel-not-found",
                what=f"no wheel {name} has the digest {digest}".replace("  ", " "),
                where="wheelhouse",
                mend="see which wheels are here with `fumehood wheelhouse list`",
            )
        )

    def path(self, wheel: Wheel) -> Path:
        """Return where the file of `wheel` is."""
        return self._folder(wheel.name, wheel.hex_digest) / wheel.filename

    def remove(self, wheel: Wheel) -> None:
        """Remove `wheel`; what was built from it stays whole."""
        folder = self._folder(wheel.name, wheel.hex_digest)
        gone = folder.with_name(f".gone-{folder.name}")
        remove_tree(gone)
        folder.rename(gone)
        remove_tree(gone)
        with contextlib.suppress(OSError):  # other wheels of that name are there
            folder.parent.rmdir()
        self.refresh(wheel.name)

    def yank(self, wheel: Wheel, *, reason: str | None) -> Wheel:
        """Mark `wheel` as yanked for `reason` (None takes it back): locks avoid it (PEP 592)."""
        changed = replace(wheel, yanked=reason)
        folder = self._folder(wheel.name, wheel.hex_digest)
        write_file(folder / "wheel.json", _json(changed), mode=0o444)
        self.refresh(wheel.name)
        return changed

    def simple(self) -> Path:
        """Return the folder that uv reads as an index, with every page up to date.

        A page older than its wheels (a writer was killed in between) is made again.
        """
        for name in self.names():
            page, wheels = self._page(name), self.root / "wheels" / name
            if not page.is_file() or page.stat().st_mtime_ns < wheels.stat().st_mtime_ns:
                self.refresh(name)
        folder = self.root / "simple"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def refresh(self, name: str) -> None:
        """Make the index page of `name` anew from what is here."""
        with exclusive(self.root / ".lock"):
            self._write_page(name)

    def _write_page(self, name: str) -> None:
        wheels = self.find(name)
        if not wheels:
            remove_tree(self._page(name).parent)
            return
        addresses = {
            w.filename: f"../../wheels/{w.name}/{w.hex_digest}/{w.filename}" for w in wheels
        }
        files = [wheel.index_file() for wheel in wheels]
        page = project_html(name, files, address=lambda file: addresses[file.filename])
        write_file(self._page(name), page.encode())

    def _page(self, name: str) -> Path:
        return self.root / "simple" / canonicalize_name(name) / "index.html"

    def _folder(self, name: str, hex_digest: str) -> Path:
        return self.root / "wheels" / canonicalize_name(name) / hex_digest

    def _refuse_taken(self, wheel: Wheel) -> None:
        """Refuse a second file of the same name: locks and people could not tell them apart."""
        taken = [other for other in self.find(wheel.name) if other.filename == wheel.filename]
        if taken:
            raise WheelRefused(
                Problem(
                    code="wheel-name-taken",
                    what=f"another file of this name is here, with the digest {taken[0].sha256}",
                    where=wheel.filename,
                    mend=f"if this one is right: `fumehood wheelhouse remove {taken[0].sha256}`",
                )
            )


def _fill(aside: Path, source: Path, wheel: Wheel, *, metadata: Path) -> None:
    """Copy the wheel, which must still be what was judged, and its METADATA."""
    target = aside / wheel.filename
    if _copied(source, target) != wheel.sha256 or _digest(metadata) != wheel.metadata_sha256:
        what = "it is not what was judged a moment ago"
        mend = "let nobody write to it meanwhile, and add it again"
        raise WheelRefused(
            Problem(code="hash-mismatch", what=what, where=wheel.filename, mend=mend)
        )
    content = metadata.read_bytes()
    write_file(aside / f"{wheel.filename}.metadata", content, mode=0o444)
    write_file(aside / "wheel.json", _json(wheel), mode=0o444)
    aside.chmod(0o755)


def _copied(source: Path, target: Path) -> str:
    """Copy a file and flush it; return the digest of what was written."""
    digest = hashlib.sha256()
    with source.open("rb") as stream, target.open("xb") as kept:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            kept.write(chunk)
        kept.flush()
        os.fchmod(kept.fileno(), 0o444)
        os.fsync(kept.fileno())
    return f"sha256:{digest.hexdigest()}"


def _digest(path: Path) -> str:
    """Return the bare digest of a file that a judge wrote; it may have left a link there."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _json(wheel: Wheel) -> bytes:
    return WHEEL_JSON.dump_json(wheel, indent=1)


def _read(folder: Path) -> Wheel:
    return WHEEL_JSON.validate_json((folder / "wheel.json").read_bytes())


def _read_if_there(folder: Path) -> Wheel | None:
    """Return the wheel in `folder`; None where it was removed a moment ago."""
    try:
        return _read(folder)
    except FileNotFoundError:
        return None
