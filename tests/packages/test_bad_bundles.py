"""Each folder below bundles/ is a bundle with one fault, which its name is."""

import io
import json
from pathlib import Path

import jsonschema_rs
import pytest
from support.bundles import bundle_files, folder_files, manifest, tarred, zipped

from packages.archive import Bundles, check, receive
from packages.bundle.manifest import manifest_schema, read_manifest
from packages.errors import BundleNotFound, BundleRefused
from wheelhouse.archives.judging import Ceilings

FAULTS = sorted(p for p in (Path(__file__).parent / "bundles").iterdir() if p.is_dir())


@pytest.mark.parametrize("folder", FAULTS, ids=lambda path: path.name)
def test_a_bad_bundle_is_refused_for_its_fault_and_nothing_stays(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(BundleRefused) as refused:
        receive(zipped(folder_files(folder)), bundles=Bundles(tmp_path))
    problems = refused.value.problems
    assert [problem.code for problem in problems] == [folder.name.split("--")[0]]
    assert problems[0].where and problems[0].mend
    assert list(tmp_path.iterdir()) == []


def test_faults_of_all_kinds_are_told_at_once_each_with_its_place(tmp_path: Path) -> None:
    files = bundle_files(
        {
            "manifest.json": manifest(name="No Good", colour="red", limits={"wall_s": -1}),
            "requirements.txt": "requests\n--pre\n./local\n",
            "extract.py": "def extract(:\n",
        }
    )
    with pytest.raises(BundleRefused) as refused:
        receive(zipped(files), bundles=Bundles(tmp_path))
    assert {(p.code, p.where) for p in refused.value.problems} == {
        ("wrong-field", "manifest.json#/name"),
        ("unknown-field", "manifest.json#/colour"),
        ("wrong-field", "manifest.json#/limits/wall_s"),
        ("install-option", "requirements.txt:2:1"),
        ("path-requirement", "requirements.txt:3:1"),
        ("syntax-error", "extract.py:1:13"),
    }


@pytest.mark.parametrize(
    "source",
    [
        "from elsewhere import *\n",
        "import elsewhere as extract\n",
        "extract = print\n",
        "globals()['extract'] = print\n",
        "def __getattr__(name): return print\n",
        "try:\n    import fast\nexcept ImportError:\n    def extract(job): pass\n",
        "def wrap(f): return f\n@wrap\ndef extract(a, b): pass\n",
        "def extract(job, more=None): pass\n",
        "class extract:\n    def __init__(self, **_): pass\n",
    ],
)
def test_an_entry_point_that_may_be_there_is_not_refused(source: str) -> None:
    assert check(zipped(bundle_files({"extract.py": source, "elsewhere.py": ""}))) == []


def test_bytecode_is_refused_since_it_would_run_in_place_of_its_source() -> None:
    (problem,) = check(zipped(bundle_files({"__pycache__/extract.cpython-312.pyc": b"x"})))
    assert problem.code == "bytecode"


def test_an_unknown_field_is_refused_with_the_name_that_was_meant() -> None:
    files = bundle_files({"manifest.json": manifest(requires_pyhton=">=3.12")})
    (problem,) = check(zipped(files))
    assert problem.mend == "did you mean 'requires_python'?"


def test_each_wrong_field_is_told_in_words_with_its_value_and_what_to_make_of_it() -> None:
    wrong = manifest(
        schema=True,
        name="A b",
        entrypoint="extract",
        network={"run": "yes", "install": "no"},
        limits={"memory_mb": -1},
        preload=["a b"],
        env={"LD_PRELOAD": "x", "mode": "y"},
        hooks={"on_after_extract": 5},
        title="x" * 300,
    )
    told = {
        p.where.partition("#")[2]: (p.what, p.mend)
        for p in check(
            zipped(
                {
                    **bundle_files(),
                    "manifest.json": wrong,
                }
            )
        )
    }
    assert told["/schema"] == ("'schema' is \"true\"; it should be 1", "make it 1")
    assert told["/name"][0].startswith("'name' is \"A b\"; it should be lower-case letters")
    assert told["/entrypoint"][1] == "make it module:function, such as extract:extract"
    assert told["/network/run"][1] == "make it true or false"
    assert told["/network/install"][1] == "make it 'never', 'if-open' or 'required'"
    assert told["/limits/memory_mb"][1] == "make it greater than 0"
    assert told["/preload/0"][0].startswith("'preload[0]' is \"a b\"; it should be the name of")
    assert told["/env/LD_PRELOAD"] == (
        "'LD_PRELOAD': it is for the cell to set, not for a bundle",
        "remove it",
    )
    assert told["/hooks/on_after_extract"][1] == "make it a JSON object"
    assert told["/title"][1] == "make it text of at most 200 characters"
    assert len(told) == 11


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"hooks": {"on_activate": "hooks.get_ready:run"}},
        {"hooks": {"on_after_extract": {"target": "hooks.after:run", "required": True}}},
        {"hooks": {"on_activate": None}, "limits": {"wall_s": 1}, "preload": ["numpy.linalg"]},
        {"env": {"MODE": "fast"}, "accepts": ["text/csv", "image/*"], "secrets": ["KEY"]},
    ],
)
def test_the_published_schema_takes_what_the_reader_takes(fields: dict[str, object]) -> None:
    schema = jsonschema_rs.validator_for(manifest_schema())
    text = manifest(**fields)
    assert read_manifest(text)
    schema.validate(json.loads(text))


@pytest.mark.parametrize("fields", [{"schema": True}, {"name": "A b"}, {"colour": "red"}])
def test_the_published_schema_refuses_what_it_can(fields: dict[str, object]) -> None:
    schema = jsonschema_rs.validator_for(manifest_schema())
    assert not schema.is_valid(json.loads(manifest(**fields)))


def test_a_bundle_is_kept_once_whichever_way_it_is_packed(tmp_path: Path) -> None:
    bundles = Bundles(tmp_path)
    files = bundle_files({"requirements.txt": "requests>=2\n", "lib/inner.py": "X = 1\n"})
    upload = zipped(files).getvalue()
    first = receive(io.BytesIO(upload), bundles=bundles)
    again = receive(io.BytesIO(upload), bundles=bundles)
    other = receive(tarred(files), bundles=bundles)
    assert first == again
    assert {file.path for file in other.files} == set(files)
    assert sorted(bundles.digests()) == sorted({first.digest, other.digest})
    assert bundles.open(first.digest) == first
    assert bundles.archive(first.digest).read_bytes() == upload


def test_what_is_kept_is_read_only(tmp_path: Path) -> None:
    bundle = receive(zipped(bundle_files({"lib/inner.py": "X = 1\n"})), bundles=Bundles(tmp_path))
    modes = {path.stat().st_mode & 0o222 for path in (bundle.folder, *bundle.folder.rglob("*"))}
    assert modes == {0}


def test_a_tarball_of_a_folder_made_with_a_dot_is_a_bundle(tmp_path: Path) -> None:
    files = {f"./{path}": content for path, content in bundle_files().items()}
    bundle = receive(tarred(files), bundles=Bundles(tmp_path))
    assert {file.path for file in bundle.files} == {"manifest.json", "extract.py"}


def test_hooks_are_found_by_their_place_or_named_in_the_manifest(tmp_path: Path) -> None:
    hook = "def run(*, context, **_):\n    pass\n"
    files = bundle_files(
        {
            "manifest.json": manifest(
                hooks={"on_after_extract": {"target": "lib.after:go", "required": True}}
            ),
            "hooks/on_activate.py": hook,
            "lib/after.py": "def go(*, context, outcome, **_):\n    pass\n",
        }
    )
    bundle = receive(zipped(files), bundles=Bundles(tmp_path))
    assert bundle.on_activate is not None
    assert bundle.on_activate.target == "hooks.on_activate:run"
    assert bundle.on_after_extract is not None
    assert bundle.on_after_extract.required
    found = bundle.source_of(bundle.on_after_extract.target)
    assert found is not None
    assert found.path == "lib/after.py"


def test_an_upload_that_is_too_large_is_refused_while_it_streams(tmp_path: Path) -> None:
    endless = io.BufferedReader(io.BytesIO(bytes(10_000_000)))
    with pytest.raises(BundleRefused) as refused:
        receive(endless, bundles=Bundles(tmp_path), ceilings=Ceilings(archive_bytes=1_000_000))
    assert refused.value.problems[0].code == "too-large"
    assert endless.tell() < 2_000_000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "sha256:../..", "", "sha256:" + "." * 64])
def test_an_unknown_digest_is_an_error_and_never_a_path(digest: str, tmp_path: Path) -> None:
    with pytest.raises(BundleNotFound):
        Bundles(tmp_path / "bundles").open(digest)
