"""Receives a bundle: streamed, judged whole, and kept only if nothing is wrong with it.

    bundles/<sha256>/bundle.zip | bundle.tar.gz    the upload, byte for byte
    bundles/<sha256>/files/…                       what it holds, read-only
    bundles/<sha256>/bundle.json                   its files with sizes and digests
    bundles/<sha256>/judged.json                   what it says of itself, as it was judged
    bundles/<sha256>/runnable/<cache tag>/…        the same with bytecode (environment.runnable)

The folder appears whole, by a rename. A refused upload leaves nothing.
"""

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter

from packages.bundle.bundle import Bundle, BundleFile
from packages.errors import BundleNotFound, BundleRefused
from packages.judging import AUTHOR_LOCK, BUNDLE, JUDGED_JSON, KEPT, Judged
from wheelhouse.archives.judging import Ceilings
from wheelhouse.durable import (
    close_folders,
    flush_filesystem,
    folder_aside,
    remove_tree,
    write_file,
)
from wheelhouse.judges.pool import Judges
from wheelhouse.judges.verdict import cannot_be_judged
from wheelhouse.problem import Problem

CHUNK_BYTES = 1 << 18
FILES_JSON = TypeAdapter(tuple[BundleFile, ...])


class Bundles:
    """The bundles kept below `root`, by digest."""

    def __init__(self, root: Path, *, judges: Judges | None = None):
        self.root = root
        self.judges = judges or Judges()

    def open(self, digest: str) -> Bundle:
        """Return the bundle with the digest `sha256:<hex>`. Raises BundleNotFound."""
        folder = self._folder(digest)
        judged = self._judged(digest, folder)
        lock = folder / "files" / AUTHOR_LOCK
        return Bundle(
            digest=digest,
            size_bytes=self.archive(digest).stat().st_size,
            folder=folder / "files",
            manifest=judged.manifest,
            requirements=judged.requirements,
            files=judged.files,
            notices=judged.notices,
            author_lock=lock.read_text("utf-8") if lock.is_file() else None,
        )

    def _judged(self, digest: str, folder: Path) -> Judged:
        """Return what the bundle says of itself, without reading the author's bytes again."""
        told = folder / "judged.json"
        if told.is_file():
            return JUDGED_JSON.validate_json(told.read_bytes())
        listing = FILES_JSON.validate_json((folder / "bundle.json").read_bytes())
        files = [asdict(file) for file in listing]
        place = str(folder / "files")
        judged, problems = self.judges.judge(KEPT, about=digest, folder=place, files=files)
        if judged is None:
            raise BundleRefused(*problems)
        return judged

    def archive(self, digest: str) -> Path:
        """Return the file that was uploaded. Raises BundleNotFound."""
        return next(self._folder(digest).glob("bundle.[zt]*"))

    def remove(self, digest: str) -> None:
        """Remove the bundle. Raises BundleNotFound."""
        folder = self._folder(digest)
        gone = folder.with_name(f".gone-{folder.name}")
        folder.rename(gone)
        remove_tree(gone)

    def digests(self) -> list[str]:
        """Return the digests of all bundles here."""
        if not self.root.is_dir():
            return []
        return sorted(f"sha256:{p.name}" for p in self.root.iterdir() if len(p.name) == 64)

    def forget(self, digest: str) -> None:
        """Remove a bundle that no version has any more; nothing happens where it is not here."""
        with suppress(BundleNotFound):
            remove_tree(self._folder(digest))

    def _folder(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        folder = self.root / name
        if len(name) != 64 or not name.isalnum() or not folder.is_dir():
            raise BundleNotFound(
                Problem(
                    code="bundle-not-found",
                    what=f"no bundle has the digest {digest}",
                    where="bundles",
                    mend="see what is here with `fumehood package list`",
                )
            )
        return folder


def receive(
    source: BinaryIO, *, bundles: Bundles, ceilings: Ceilings | None = None, name: str = "upload"
) -> Bundle:
    """Read a bundle from `source`, judge it and keep it. Raises BundleRefused with every fault.

    `name` is what the upload is called in problems. The same bytes twice are one bundle.
    """
    ceilings = ceilings or Ceilings()
    bundles.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".receive-", dir=bundles.root) as folder:
        upload = Path(folder) / "upload"
        digest = _stream(source, upload, most=ceilings.archive_bytes, name=name)
        final = bundles.root / digest.removeprefix("sha256:")
        if not final.is_dir():
            with folder_aside(final) as aside:
                _fill(aside, upload, bundles.judges, name=name, ceilings=ceilings)
                flush_filesystem(aside)
    return bundles.open(digest)


def receive_file(upload: Path, *, bundles: Bundles, ceilings: Ceilings) -> Bundle:
    """Read a bundle from the file `upload`, judge it and keep it, as `receive` does."""
    with upload.open("rb") as source:
        return receive(source, bundles=bundles, ceilings=ceilings)


def check_whole(
    source: BinaryIO,
    *,
    judges: Judges | None = None,
    ceilings: Ceilings | None = None,
    name: str = "upload",
) -> tuple[list[Problem], Bundle | None]:
    """Return every fault of a bundle, and the bundle where there is none, keeping no file."""
    with tempfile.TemporaryDirectory(prefix="fumehood-check-") as folder:
        bundles = Bundles(Path(folder), judges=judges)
        try:
            return [], receive(source, bundles=bundles, ceilings=ceilings, name=name)
        except BundleRefused as refused:
            return list(refused.problems), None


def check(
    source: BinaryIO,
    *,
    judges: Judges | None = None,
    ceilings: Ceilings | None = None,
    name: str = "upload",
) -> list[Problem]:
    """Return every fault of a bundle, keeping nothing."""
    return check_whole(source, judges=judges, ceilings=ceilings, name=name)[0]


def _stream(source: BinaryIO, target: Path, *, most: int, name: str) -> str:
    """Write `source` to `target`, at most `most` bytes; return its digest."""
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as kept:
        while chunk := source.read(CHUNK_BYTES):
            size += len(chunk)
            if size > most:
                what = f"it is larger than {most} bytes"
                raise BundleRefused(_fault("too-large", what, name, "leave out what is not needed"))
            digest.update(chunk)
            kept.write(chunk)
    return f"sha256:{digest.hexdigest()}"


def _fill(aside: Path, upload: Path, judges: Judges, *, name: str, ceilings: Ceilings) -> None:
    """Fill `aside` with the judged bundle. Raises BundleRefused with every fault."""
    files = aside / "files"
    judged, problems = judges.judge(
        BUNDLE,
        about=name,
        budget=BUNDLE.budget.for_input(upload.stat().st_size),
        upload=str(upload.resolve()),
        folder=str(files.resolve()),
        name=name,
        ceilings=asdict(ceilings),
    )
    if judged is None or problems:
        raise BundleRefused(*problems)
    if _regular_files(files) != {file.path: file.size_bytes for file in judged.files}:
        raise BundleRefused(cannot_be_judged(name, "what was unpacked is not what was told"))
    write_file(aside / "bundle.json", FILES_JSON.dump_json(judged.files), mode=0o444)
    write_file(aside / "judged.json", JUDGED_JSON.dump_json(judged, by_alias=True), mode=0o444)
    kept = aside / ("bundle.tar.gz" if judged.is_gzip else "bundle.zip")
    upload.rename(kept)
    kept.chmod(0o444)
    aside.chmod(0o755)
    close_folders(files)


def _regular_files(folder: Path) -> dict[str, int]:
    """Return the size of each file below `folder`; -1 for a link or what else is no file.

    A judge that was taken over could have left one, which we would follow.
    """
    found: dict[str, int] = {}
    for root, folders, names in os.walk(folder):
        for name in (*names, *(f for f in folders if Path(root, f).is_symlink())):
            path = Path(root, name)
            status = path.lstat()
            size = status.st_size if stat.S_ISREG(status.st_mode) else -1
            found[path.relative_to(folder).as_posix()] = size
    return found


def _fault(code: str, what: str, where: str, mend: str) -> Problem:
    return Problem(code=code, what=what, where=where, mend=mend)
