"""What an author may write in requirements.txt, and what is refused by its name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from packages.bundle.requirements import PLACES_OF_CODE, WAYS_TO_INSTALL, parse

FAULTS = sorted((Path(__file__).parent / "requirements").glob("*.txt"))


@pytest.mark.parametrize("path", FAULTS, ids=lambda path: path.stem)
def test_what_may_not_stand_there_is_refused_by_name_and_line(path: Path) -> None:
    wanted, problems = parse({"requirements.txt": path.read_bytes()})
    assert [problem.code for problem in problems] == [path.stem.split("--")[0]]
    if not path.stem.startswith("not-utf-8"):
        assert problems[0].where.startswith("requirements.txt:2:")
        assert wanted.wanted == ()
    assert problems[0].mend


def test_what_pip_freeze_leaves_behind_is_told_with_what_to_do_about_it() -> None:
    text = "pkg-resources==0.0.0\nnumpy @ file:///home/conda/numpy_1/work\nidna==3.7\n"
    _, (debian, conda) = parse({"requirements.txt": text.encode()})
    assert (debian.where, debian.mend) == ("requirements.txt:1:1", "delete the line")
    assert conda.where == "requirements.txt:2:1" and "numpy==VERSION" in conda.mend


@pytest.mark.parametrize("option", sorted((PLACES_OF_CODE | WAYS_TO_INSTALL) - {"-f", "-i", "-Z"}))
@pytest.mark.parametrize("form", ["{}", "{}=x", "{} x", "six {} x", "six \\\n {}=x"])
def test_every_option_that_chooses_places_or_ways_is_refused_in_every_form(
    option: str, form: str
) -> None:
    text = form.format(option)
    wanted, (problem,) = parse({"requirements.txt": text.encode()})
    assert problem.code == ("index-option" if option in PLACES_OF_CODE else "install-option")
    assert option in problem.what and wanted.wanted == ()
    line, column = (2, 2) if "\n" in text else (1, text.index(option) + 1)
    assert problem.where == f"requirements.txt:{line}:{column}"


@pytest.mark.parametrize(
    "option", ["-i", "-f", "-Z", "--editable", "-e", "--src", "--target", "--python", "-v"]
)
@pytest.mark.parametrize("form", ["{}x", "{} x", "six {} x"])
def test_short_and_strange_options_are_refused_too(option: str, form: str) -> None:
    wanted, problems = parse({"requirements.txt": form.format(option).encode()})
    assert len(problems) == 1 and wanted.wanted == ()


def test_a_fault_is_told_at_the_line_and_column_that_it_is_at() -> None:
    text = (
        "  six==1.0 \\\n"
        "    --hash=sha256:abc \\\n"
        "  --hash md5:aa\n"
        "demo>=1 $HOME\n"
        'more ; os_name == "a" and\n'
    )
    _, problems = parse({"requirements.txt": text.encode()})
    assert [(p.code, p.where.partition(":")[2]) for p in problems] == [
        ("bad-hash", "2:5"),
        ("bad-hash", "3:3"),
        ("environment-expansion", "4:9"),
        ("bad-requirement", "5:26"),
    ]


def test_names_extras_specifiers_markers_hashes_and_comments_are_taken() -> None:
    digest = "0" * 64
    text = (
        "# a comment\n\n"
        'Requests[socks] >=2.31, <3 ; python_version >= "3.9"  # why\n'
        f"numpy==2.1 \\\n    --hash=sha256:{digest} \\\n    --hash sha256:{'1' * 64}\n"
    )
    wanted, problems = parse({"requirements.txt": text.encode()})
    assert problems == []
    assert [(w.name, w.line) for w in wanted.wanted] == [("requests", 3), ("numpy", 4)]
    assert wanted.wanted[0].text == 'Requests[socks]<3,>=2.31; python_version >= "3.9"'
    assert wanted.wanted[1].hashes == (f"sha256:{digest}", f"sha256:{'1' * 64}")


def test_includes_stay_inside_the_bundle_and_constraints_stay_apart() -> None:
    files = {
        "requirements.txt": b"-r reqs/base.txt\n-c limits.txt\nflask\n",
        "reqs/base.txt": b"-r deeper.txt\nsix\n",
        "reqs/deeper.txt": b"idna\n",
        "limits.txt": b"-r reqs/more.txt\nurllib3<2\n",
        "reqs/more.txt": b"certifi<2026\n",
    }
    wanted, problems = parse(files)
    assert problems == []
    assert [w.where for w in wanted.wanted] == [
        "reqs/deeper.txt:1",
        "reqs/base.txt:2",
        "requirements.txt:3",
    ]
    assert [w.name for w in wanted.constraints] == ["certifi", "urllib3"]


def test_a_long_cycle_of_includes_is_told_with_its_way() -> None:
    files = {"requirements.txt": b"-r a.txt\n", "a.txt": b"-r b.txt\n", "b.txt": b"-r a.txt\nsix\n"}
    wanted, (problem,) = parse(files)
    assert problem.code == "include-cycle"
    assert problem.what == "a.txt includes itself: requirements.txt → a.txt → b.txt → a.txt"
    assert problem.where == "b.txt:1:1"
    assert wanted.names == {"six"}


def test_the_column_of_a_bad_requirement_is_where_it_goes_wrong() -> None:
    _, (problem,) = parse({"requirements.txt": b"six\n  requests = 2\n"})
    assert problem.where == "requirements.txt:2:12"


def test_every_fault_is_told_at_once() -> None:
    text = b"--pre\nrequests\n-e .\nx @ git+https://example.invalid/x\n"
    wanted, problems = parse({"requirements.txt": text})
    assert [(p.code, p.where) for p in problems] == [
        ("install-option", "requirements.txt:1:1"),
        ("editable", "requirements.txt:3:1"),
        ("vcs", "requirements.txt:4:1"),
    ]
    assert wanted.names == {"requests"}


def test_no_file_is_no_requirements() -> None:
    wanted, problems = parse({})
    assert (wanted.text, problems) == ("", [])


def test_a_file_that_is_too_large_is_refused() -> None:
    _, problems = parse({"requirements.txt": b"six\n" * 100_000})
    assert [problem.code for problem in problems] == ["too-large"]
    _, problems = parse({"requirements.txt": b"a\n" * 6_000})
    assert [problem.code for problem in problems] == ["too-large"]


@given(st.text(max_size=200))
def test_whatever_is_written_every_line_is_taken_or_refused(text: str) -> None:
    wanted, problems = parse({"requirements.txt": text.encode("utf-8", "surrogatepass")})
    for one in wanted.wanted:
        requirement = Requirement(one.text)
        assert requirement.url is None
        assert not one.text.startswith("-")
        assert "\n" not in one.text
    assert all(problem.where.startswith("requirements.txt") for problem in problems)


@given(
    st.lists(
        st.from_regex(r"[a-z]{1,8}(\[[a-z]{1,4}\])?((==|>=|<)[0-9]\.[0-9])?", fullmatch=True),
        max_size=8,
    )
)
def test_canonical_text_reads_back_as_itself(lines: list[str]) -> None:
    first, problems = parse({"requirements.txt": "\n".join(lines).encode()})
    second, _ = parse({"requirements.txt": first.text.encode()})
    assert problems == []
    assert first.text == second.text
    assert len(first.wanted) == len(lines)
