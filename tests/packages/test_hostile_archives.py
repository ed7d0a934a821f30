"""No hostile archive gets in, each is refused for what is wrong with it, and nothing stays."""

import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.bundles import bundle_files, zipped
from support.hostile_archives import HOSTILE, plain

from packages.archive import Bundles, receive
from packages.errors import BundleRefused
from wheelhouse.paths import path_faults


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
