"""What people get wrong first, and what they are told: by meaning, with the mend."""

import json
import zipfile
from io import BytesIO

import pytest
from support.bundles import bundle_files, manifest, zipped

from packages.archive import check, check_whole
from packages.bundle.bundle import Bundle
from packages.bundle.popular import near_popular, popular_names
from packages.runs.missing_modules import mend_of


def right(files: dict[str, str]) -> Bundle:
    problems, bundle = check_whole(zipped(bundle_files(files)))
    assert problems == []
    assert bundle is not None
    return bundle


def notice_codes(files: dict[str, str]) -> list[str]:
    return [notice.code for notice in right(files).notices]


def test_an_ordinary_bundle_gives_no_notice() -> None:
    files = {"hooks/on_activate.py": "def run(**_): pass\n", "words.py": "", "readme.md": ""}
    assert notice_codes({**files, "requirements.txt": "requests\nidna\nsix\n"}) == []


def test_what_macos_adds_is_left_out_and_noted() -> None:
    bundle = right({"__MACOSX/._extract.py": "\0", ".DS_Store": "x", "data/.DS_Store": "y"})
    assert [file.path for file in bundle.files] == ["extract.py", "manifest.json"]
    assert [notice.code for notice in bundle.notices] == ["macos-leftovers"]
    assert "3 files" in bundle.notices[0].what


def test_a_leftover_of_macos_is_judged_all_the_same() -> None:
    (problem,) = check(zipped(bundle_files({"__MACOSX/../../._x": "x"})))
    assert problem.code == "parent-path"


def test_backslashes_of_one_tool_are_one_problem_with_the_command_that_packs() -> None:
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in ("hooks\\on_activate.py", "data\\a.csv", "data\\b.csv"):
            archive.writestr(name, "x")
        archive.writestr("manifest.json", manifest())
    content.seek(0)
    (problem,) = check(content)
    assert problem.code == "backslash" and "2 more names" in problem.what
    assert "fumehood package pack" in problem.mend


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("manifest.json", manifest()),
        ("requirements.txt", "requests\n"),
        ("extract.py", "def extract(**_): return 1\n"),
        ("pylock.toml", 'lock-version = "1.0"\n'),
    ],
)
def test_utf_16_is_told_as_what_powershell_writes(file: str, text: str, encoding: str) -> None:
    text = text.decode() if isinstance(text, bytes) else text
    problems = check(zipped(bundle_files({file: text.encode(encoding)})))
    told = next(problem for problem in problems if problem.where.startswith(file))
    assert told.code == "not-utf-8"
    assert "PowerShell" in told.what and "Out-File -Encoding utf8" in told.mend


def test_a_schema_for_editors_may_stand_in_a_manifest() -> None:
    assert check(zipped(bundle_files({"manifest.json": manifest(**{"$schema": "./m.json"})}))) == []


def test_a_missing_field_is_told_with_what_to_write() -> None:
    (problem,) = check(
        zipped(bundle_files({"manifest.json": b'{"name": "demo", "version": "1.0"}'}))
    )
    assert problem.mend == 'add "schema": 1'


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("timeout", "did you mean 'wall_s' in 'limits'?"),
        ("description", "did you mean 'title'?"),
        ("python", "did you mean 'requires_python'?"),
        ("Python-Version", "did you mean 'requires_python'?"),
        ("memory", "did you mean 'memory_mb' in 'limits'?"),
        ("main", "did you mean 'entrypoint'?"),
        ("entrypiont", "did you mean 'entrypoint'?"),
        ("dependencies", "write them in requirements.txt, one a line"),
    ],
)
def test_a_field_is_understood_by_its_meaning(field: str, meant: str) -> None:
    (problem,) = check(zipped(bundle_files({"manifest.json": manifest(**{field: "1"})})))
    assert (problem.code, problem.mend) == ("unknown-field", meant)


def test_within_limits_a_meaning_is_told_without_the_place() -> None:
    files = bundle_files({"manifest.json": manifest(limits={"timeout": 3})})
    (problem,) = check(zipped(files))
    assert problem.mend == "did you mean 'wall_s'?"


def test_a_field_that_means_nothing_is_told_what_may_stand_there() -> None:
    (problem,) = check(zipped(bundle_files({"manifest.json": manifest(colour="red")})))
    assert "remove" not in problem.mend and "entrypoint" in problem.mend


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("hooks/on_activated.py", "hooks/on_activate.py"),
        ("hooks/on_after_extracts.py", "hooks/on_after_extract.py"),
        ("Requirements.txt", "requirements.txt"),
        ("requirement.txt", "requirements.txt"),
        ("on_activate.py", "hooks/on_activate.py"),
        ("pylock.tml", "pylock.toml"),
    ],
)
def test_a_file_that_is_almost_read_is_noted(path: str, meant: str) -> None:
    (notice,) = right({path: ""}).notices
    assert (notice.code, notice.where) == ("unread-file", path)
    assert meant in notice.mend


def test_a_file_whose_namesake_is_read_is_not_noted() -> None:
    files = {"requirements.txt": "", "requirement.txt": "", "data/requirements.txt": ""}
    assert notice_codes(files) == []


def test_a_generator_as_entry_point_is_refused_before_it_runs() -> None:
    (problem,) = check(zipped(bundle_files({"extract.py": "def extract(**_):\n    yield 1\n"})))
    assert problem.code == "wrong-signature" and "generator" in problem.what
    inner = "def extract(**_):\n    def rows():\n        yield 1\n    return list(rows())\n"
    assert check(zipped(bundle_files({"extract.py": inner}))) == []


def test_a_module_that_hides_one_of_the_standard_library_is_noted() -> None:
    assert notice_codes({"json.py": ""}) == ["hides-standard-library"]
    assert notice_codes({"email/__init__.py": ""}) == ["hides-standard-library"]
    assert notice_codes({"mine/json.py": "", "json/data.csv": ""}) == []


def test_a_requirement_one_letter_from_a_popular_one_is_noted() -> None:
    (notice,) = right({"requirements.txt": "idna\nreqeusts>=2\n"}).notices
    assert (notice.code, notice.where) == ("near-popular-name", "requirements.txt:2")
    assert "requests" in notice.what


def test_popular_names_are_not_near_each_other_and_unknown_ones_are_left_alone() -> None:
    assert {name: near for name in popular_names() if (near := near_popular(name))} == {}
    assert near_popular("our-own-thing") == ""
    for slip in ("panda", "pandass", "pandsa", "pendas"):
        assert near_popular(slip) == "pandas"


def test_a_module_that_is_not_there_is_told_with_what_brings_it() -> None:
    def told(module: str) -> str:
        return mend_of(module, otherwise="else")

    assert "setuptools<82" in told("pkg_resources.extern")
    assert "scikit-learn" in told("sklearn.svm")
    assert told("unheard_of") == "else"
    assert told("") == "else"


def test_the_schema_takes_what_the_reader_takes() -> None:
    from packages.bundle.manifest import manifest_schema

    assert "$schema" in manifest_schema()["properties"]
    assert json.dumps(manifest_schema())
