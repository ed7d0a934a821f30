"""Feeds what libFuzzer thinks of to the readers of what authors send; stops at the first lie.

    tests/packages/fuzz_readers.py TARGET CORPUS_FOLDER [libFuzzer options, such as -runs=10000]

No input may raise what is not a refusal, or take more steps than its size accounts for. A zip or tar.gz that is taken must be what a second,
independent reader sees in the same bytes: the standard library's from the directory, and our
own from the front.
"""

import io
import os
import struct
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(include=["packages", "wheelhouse", "packaging", "tomllib"]):
    from packages.bundle.manifest import read_manifest
    from packages.bundle.requirements import parse
    from packages.bundle.tarballs import judge_tarball
    from packages.errors import ManifestRefused
    from packages.lock.lock import read_pylock
    from wheelhouse.advisories.snapshot_judging import judge_snapshot
    from wheelhouse.archives.judging import Ceilings
    from wheelhouse.archives.paths import path_faults
    from wheelhouse.archives.zipfiles import judge_zip
    from wheelhouse.metadata.scripts import launchers

from support.bundles import bundle_files, manifest, tarred, zipped
from support.costly import advisory
from support.hostile_archives import HOSTILE, plain, streamed, zip64_end

SMALL = Ceilings(unpacked_bytes=1 << 22, entry_bytes=1 << 22)
MOST_SEED_BYTES = 4_000


FEWEST_STEPS, STEPS_PER_BYTE = 200_000, 1_000
"""How many lines of Python an input may take: what grows with its square takes more."""


class Lie(AssertionError):
    """Something was taken that another reader reads differently."""


class TooCostly(AssertionError):
    """An input takes more steps to read than its size accounts for."""


class Steps:
    """Counts lines of Python, and stops at the first one over the budget of an input."""

    def __init__(self) -> None:
        self._left = 0
        monitoring = sys.monitoring
        monitoring.use_tool_id(monitoring.PROFILER_ID, "fumehood-fuzz")
        monitoring.register_callback(monitoring.PROFILER_ID, monitoring.events.LINE, self._line)

    def bounded(self, test: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """Return `test` with the budget around it."""

        def testing(data: bytes) -> None:
            self._left = FEWEST_STEPS + STEPS_PER_BYTE * len(data)
            sys.monitoring.set_events(sys.monitoring.PROFILER_ID, sys.monitoring.events.LINE)
            try:
                test(data)
            finally:
                sys.monitoring.set_events(sys.monitoring.PROFILER_ID, 0)
            if self._left < 0:
                raise TooCostly(f"{-self._left} steps too many for {len(data)} bytes")

        return testing

    def _line(self, *_: object) -> None:
        self._left -= 1
        if self._left == -STEPS_PER_BYTE * MOST_SEED_BYTES:  # it may never come to an end
            raise TooCostly("it does not end")


def zips(data: bytes) -> None:
    """Judge `data` as a zip; what is taken is read in two more ways."""
    found = taken(data, judge_zip)
    if found is None:
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        agree(found, {e.filename: archive.read(e) for e in archive.infolist() if not e.is_dir()})
    agree(found, dict(from_the_front(data)))


def tarballs(data: bytes) -> None:
    """Judge `data`, gzipped or not, as a tar.gz."""
    packed = data if data[:2] == b"\x1f\x8b" else gzipped(data)
    found = taken(packed, judge_tarball)
    if found is None:
        return
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        files = ((m.name.removeprefix("./"), archive.extractfile(m)) for m in archive if m.isreg())
        agree(found, {name: file.read() for name, file in files if file})


def manifests(data: bytes) -> None:
    """Read `data` as a manifest."""
    try:
        read_manifest(data)
    except ManifestRefused as refused:
        if not refused.problems:
            raise Lie("refused, and nothing is said") from refused


def requirements(data: bytes) -> None:
    """Parse `data` as requirements; what is taken names no other place to get code from."""
    wanted, problems = parse({"requirements.txt": data, "more.txt": data[::-1]})
    if not problems and ("://" in wanted.text or "@" in wanted.text):
        raise Lie(wanted.text)


def locks(data: bytes) -> None:
    """Read `data` as a pylock.toml."""
    told, problems = read_pylock(data.decode("utf-8", "replace"))
    if told is None and not problems:
        raise Lie("refused, and nothing is said")


def entry_points(data: bytes) -> None:
    """Read `data` as entry_points.txt; what is taken is a script with a plain name."""
    try:
        for name, _ in launchers(data.decode("utf-8", "replace")):
            if "/" in name or name.startswith("."):
                raise Lie(name)
    except ValueError:
        return


def advisories(data: bytes) -> None:
    """Judge `data` as an advisory in a snapshot."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "all").mkdir()
        (Path(folder) / "all" / "one.json").write_bytes(data)
        try:
            judge_snapshot(f"{folder}/all", folder=f"{folder}/names")
        except RecursionError:
            return


def taken(data: bytes, judge: Callable[..., list[object]]) -> dict[str, bytes] | None:
    """Return the files of an archive that the judge takes, None for one that it refuses."""
    descriptor = os.memfd_create("upload")
    upload = Path(f"/proc/self/fd/{descriptor}")
    upload.write_bytes(data)
    found: dict[str, bytes] = {}

    def keep(entry: zipfile.ZipInfo | tarfile.TarInfo, chunks: Iterator[bytes]) -> None:
        name = entry.filename if isinstance(entry, zipfile.ZipInfo) else entry.name
        found[name] = b"".join(chunks)

    try:
        if judge(upload, name="upload", ceilings=SMALL, sink=keep):
            return None
    finally:
        os.close(descriptor)
    if any(path_faults(name) for name in found):
        raise Lie(f"a name is not safe: {list(found)}")
    return found


def agree(ours: dict[str, bytes], theirs: dict[str, bytes]) -> None:
    """Raise Lie where two readers saw different files."""
    if ours != theirs:
        raise Lie(f"we see {ours}, another reader {theirs}")


def from_the_front(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what a reader sees that never looks at the directory (APPNOTE 4.3.7)."""
    at = 0
    while data[at : at + 4] == b"PK\3\4":
        flags, method = struct.unpack_from("<HH", data, at + 6)
        packed, _, name_length, extra_length = struct.unpack_from("<IIHH", data, at + 18)
        name = data[at + 30 : at + 30 + name_length]
        extra = data[at + 30 + name_length :][:extra_length]
        at += 30 + name_length + extra_length
        if packed == 0xFFFFFFFF:
            packed = struct.unpack_from("<Q", extra, extra.index(b"\1\0\x10\0") + 12)[0]
        if method == zipfile.ZIP_DEFLATED:
            inflating = zlib.decompressobj(-15)
            content = inflating.decompress(data[at:])
            at = len(data) - len(inflating.unused_data)
        else:
            if flags & 8 and not packed:
                packed = data.index(b"PK\7\10", at) - at
            content = data[at : at + packed]
            at += packed
        if flags & 8:
            at = next_header(data, at)
        if not name.endswith(b"/"):
            yield name.decode("utf-8" if flags & 0x800 else "cp437"), content


def next_header(data: bytes, at: int) -> int:
    """Return where the header after a data descriptor of any form begins."""
    return next(
        (at + n for n in (16, 24, 12, 20) if data[at + n :][:4] in (b"PK\3\4", b"PK\1\2")), at
    )


def gzipped(data: bytes) -> bytes:
    """Return `data` as a gzip stream that costs little to make."""
    packing = zlib.compressobj(1, wbits=31)
    return packing.compress(data) + packing.flush()


def archives() -> Iterator[bytes]:
    """Yield small archives, right and hostile, to begin from."""
    yield from (plain(), streamed(), zip64_end(), zipped(bundle_files()).getvalue())
    yield from (data for _, build in HOSTILE.values() if len(data := build()) <= MOST_SEED_BYTES)


def tars() -> Iterator[bytes]:
    """Yield small tar.gz, right and hostile, packed and not."""
    made = [tarred(bundle_files()).getvalue(), *archives()]
    for data in made:
        if data[:2] == b"\x1f\x8b":
            yield data
            try:
                yield zlib.decompress(data, wbits=31)
            except zlib.error:
                continue


TEXTS = Path(__file__).parent / "requirements"
TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], Iterator[bytes]]]] = {
    "zip": (zips, archives),
    "tar": (tarballs, tars),
    "manifest": (manifests, lambda: iter([manifest(), manifest(hooks={}, limits={"wall_s": 1})])),
    "requirements": (
        requirements,
        lambda: (path.read_bytes() for path in sorted(TEXTS.glob("*.txt"))),
    ),
    "entry-points": (
        entry_points,
        lambda: iter([b"[console_scripts]\na = b:c [d]\n", b"[gui_scripts]\na =\n  b:c\n"]),
    ),
    "advisories": (advisories, lambda: iter([advisory("demo"), advisory("a", "b")])),
    "lock": (locks, lambda: iter([b'lock-version = "1.0"\ncreated-by = "x"\npackages = []\n'])),
}


def main() -> None:
    """Write the seeds to the corpus folder and fuzz; libFuzzer ends the process."""
    name, corpus, *options = sys.argv[1:]
    test, seeds = TARGETS[name]
    Path(corpus).mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds()):
        Path(corpus, f"seed-{number}").write_bytes(data)
    atheris.Setup([sys.argv[0], corpus, "-rss_limit_mb=1024", *options], Steps().bounded(test))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
