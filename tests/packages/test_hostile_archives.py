"""No hostile archive gets in, each is refused for what is wrong with it, and nothing stays."""

import io
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.bundles import bundle_files, manifest, zipped
from support.hostile_archives import HOSTILE, plain, streamed, zip64_end
from support.lacking import lacking

from packages.archive import Bundles, receive
from packages.errors import BundleRefused
from wheelhouse.archives.paths import path_faults


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_for_what_is_wrong_with_it(name: str, tmp_path: Path) -> None:
    code, build = HOSTILE[name]
    bundles = Bundles(tmp_path / "bundles")
    with pytest.raises(BundleRefused) as refused:
        receive(io.BytesIO(build()), bundles=bundles, name="upload.zip")
    assert code in [problem.code for problem in refused.value.problems]
    assert all(problem.where.startswith("upload.zip") for problem in refused.value.problems)
    assert all(problem.mend for problem in refused.value.problems)
    assert list((tmp_path / "bundles").iterdir()) == []


def made_by(line: str, folder: Path) -> Callable[[], bytes]:
    """Return a builder of what a command line writes to a pipe that is run in `folder`."""

    def build() -> bytes:
        program = line.partition(" ")[0]
        if shutil.which(program) is None:
            lacking(program)
        argv = ["bash", "-euo", "pipefail", "-c", line]
        return subprocess.run(argv, cwd=folder, capture_output=True, check=True).stdout

    return build


def big_sizes() -> bytes:
    """Return a bundle whose writer was told that files may be large."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in bundle_files({"empty.txt": b""}).items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as file:
                file.write(content)
    return target.getvalue()


@pytest.mark.parametrize(
    "tool",
    [
        "zip -qr - . | cat",
        "zip -qrX0 - .",
        "zip -qr -fz ../a.zip . && cat ../a.zip",
        "zip -q ../b.zip manifest.json && zip -q ../b.zip extract.py && cat ../b.zip",
        "git init -q && git add . && git archive --format=zip $(git write-tree)",
        "tar --format=posix -cz .",
        "tar --format=gnu -cz *",
        "python, zip64",
        "python, pipe",
        "zip64 end",
    ],
)
def test_what_ordinary_tools_make_is_taken(tool: str, tmp_path: Path) -> None:
    folder = tmp_path / "author"
    (folder / "sub").mkdir(parents=True)
    for name, content in bundle_files({"sub/empty.txt": b""}).items():
        (folder / name).write_bytes(content)
    builders = {"python, zip64": big_sizes, "zip64 end": zip64_end, "python, pipe": streamed}
    build = builders.get(tool) or made_by(tool, folder)
    bundle = receive(io.BytesIO(build()), bundles=Bundles(tmp_path / "bundles"))
    assert {"manifest.json", "extract.py"} <= {file.path for file in bundle.files}


def test_a_file_of_blanks_is_refused_by_its_name_and_with_a_mend_that_helps(tmp_path: Path) -> None:
    padded = manifest() + b" " * 30_000_000
    with pytest.raises(BundleRefused) as refused:
        receive(
            io.BytesIO(zipped(bundle_files({"manifest.json": padded})).getvalue()),
            bundles=Bundles(tmp_path),
        )
    (problem,) = refused.value.problems
    assert problem.code == "bomb-ratio" and "manifest.json" in problem.what
    assert "blanks" in problem.mend


def test_there_are_enough_hostile_archives() -> None:
    assert len(HOSTILE) >= 25


def test_every_fault_of_an_archive_is_told_at_once(tmp_path: Path) -> None:
    target = io.BytesIO(zipped(bundle_files()).getvalue())
    with zipfile.ZipFile(target, "a") as archive:
        for name in ("../up.py", "/abs.py", "con", "EXTRACT.PY"):
            archive.writestr(name, b"x")
    target.seek(0)
    with pytest.raises(BundleRefused) as refused:
        receive(target, bundles=Bundles(tmp_path), name="b.zip")
    codes = {problem.code for problem in refused.value.problems}
    assert codes >= {"parent-path", "absolute-path", "windows-name", "name-collision"}


@given(st.integers(0, len(plain()) - 1), st.integers(0, 255))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_flipped_byte_gives_the_same_bundle_or_a_refusal(at: int, value: int) -> None:
    """Whatever gets in is what an ordinary reader sees in the same bytes."""
    data = bytearray(plain())
    data[at] = value
    with tempfile.TemporaryDirectory() as folder:
        try:
            bundle = receive(io.BytesIO(bytes(data)), bundles=Bundles(Path(folder)))
        except BundleRefused as refused:
            assert refused.problems
            return
        with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
            told = {n: archive.read(n) for n in archive.namelist() if not n.endswith("/")}
        assert {f.path: (bundle.folder / f.path).read_bytes() for f in bundle.files} == told


@given(st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_random_bytes_are_refused_and_never_crash(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.raises(BundleRefused):
        receive(io.BytesIO(data), bundles=Bundles(Path(folder)))


@given(st.text(min_size=1, max_size=60))
@settings(max_examples=500)
def test_a_name_that_passes_stays_below_its_folder(name: str) -> None:
    if not path_faults(name):
        root = Path("/folder")
        assert ".." not in name.split("/")
        assert (root / name).is_relative_to(root)
        assert (root / name) != root
