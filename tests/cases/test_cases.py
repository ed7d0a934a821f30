"""Bundles that people wrote and that went wrong once: what each comes to now.

Each folder beside this file is one, and its EXPECTED.md says what must come out. They run as jobs
of a real appliance, three times in a row where a warm start could differ from a cold one.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from packaging.version import Version
from support.lacking import lacking

from packages.errors import NoInterpreter
from packages.interpreters import discover

from ..runtime.conftest import Server, running

CASES = Path(__file__).parent
OFFICE = "application/vnd.openxmlformats-officedocument"

type Run = Callable[..., list[dict[str, Any]]]

pytestmark = pytest.mark.xdist_group("cases")
from_the_index = pytest.mark.network


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An appliance whose gate is open, shared by all cases."""
    with running(tmp_path_factory.mktemp("cases") / "home", reconcile_interval_s="1") as server:
        order = {"is_open": True, "minutes": 60, "reason": "the cases", "who": "tests"}
        assert server.http.put("/v1/gate", json=order).status_code == 200
        yield server


@pytest.fixture(scope="session")
def index() -> None:
    """Skip where no package index answers; CI=true promises one."""
    try:
        httpx2.head("https://pypi.org/simple/idna/", timeout=20).raise_for_status()
    except httpx2.HTTPError as error:
        lacking(f"a package index ({error})")


def packed(case: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted((CASES / case).rglob("*")):
            if path.is_file() and path.suffix != ".md":
                entry = zipfile.ZipInfo(path.relative_to(CASES / case).as_posix())
                entry.external_attr = 0o100644 << 16
                archive.writestr(entry, path.read_bytes())
    return content.getvalue()


@pytest.fixture
def run(appliance: Server) -> Run:
    """Activate a case and run it; return the artifact of each of its jobs."""

    def run(case: str, times: int = 1) -> list[dict[str, Any]]:
        activation = appliance.activate(packed(case))
        assert activation["state"] == "succeeded", activation["problems"]
        jobs = [appliance.ended(appliance.submit(case).json()["id"]) for _ in range(times)]
        return [appliance.http.get(f"/v1/jobs/{job['id']}/artifact").json() for job in jobs]

    return run


def results(artifacts: list[dict[str, Any]]) -> list[Any]:
    for artifact in artifacts:
        assert artifact["state"] == "succeeded", artifact["error"]
    return [artifact["result"] for artifact in artifacts]


def log_of(appliance: Server, artifact: dict[str, Any]) -> list[str]:
    events = appliance.events(artifact["job"])
    data = [event["data"] for event in events if event["event"] == "job.log"]
    return [one.get("line", one.get("message", "")) for one in data]


def output_of(appliance: Server, artifact: dict[str, Any], path: str) -> str:
    return appliance.http.get(f"/v1/jobs/{artifact['job']}/outputs/{path}").text


def test_every_case_has_a_test_of_its_own():
    names = {path.name for path in CASES.iterdir() if (path / "EXPECTED.md").exists()}
    text = Path(__file__).read_text()
    assert {name for name in names if f'"{name}"' not in text} == set()


@from_the_index
def test_children_of_a_run_find_their_environment(run: Run, index: None):
    (told,) = results(run("children-and-scripts"))
    assert {name: told[name][0] for name in ("module", "script", "shell", "imports")} == {
        "module": 0,
        "script": 0,
        "shell": 0,
        "imports": 0,
    }
    assert told["flags"] == []


def test_the_streams_can_be_opened_by_name(run: Run, appliance: Server):
    (artifact,) = run("dev-stdout")
    assert results([artifact]) == [1]
    assert {"hi from dev stdout", "warned"} <= set(log_of(appliance, artifact))


def test_what_an_import_writes_is_there_in_each_run_as_new(run: Run):
    assert results(run("files-made-at-import", 3)) == [["x", 1]] * 3


@from_the_index
def test_generators_that_an_import_made_differ_from_run_to_run(run: Run, index: None):
    told = results(run("generators-made-at-import", 3))
    assert len({one["id"] for one in told}) == len({str(one["noise"]) for one in told}) == 3


def test_a_lock_made_at_import_keeps_no_version_cold(run: Run):
    artifacts = run("lock-made-at-import", 3)
    assert results(artifacts) == ["locked"] * 3
    assert artifacts[-1]["isolation"]["start"] == "warm", artifacts[-1]["isolation"]


def test_the_peak_of_a_cold_run_is_its_own(run: Run):
    for artifact in run("peak-of-a-cold-run", 2):
        assert artifact["usage"]["peak_rss_bytes"] < 64 << 20


def test_leftovers_of_pip_freeze_are_told_as_such(appliance: Server):
    refused = appliance.http.post("/v1/packages", content=packed("pip-freeze-leftovers"))
    assert refused.status_code == 422
    debian, conda = refused.json()["problems"]
    assert [one["code"] for one in (debian, conda)] == ["freeze-leftover"] * 2
    assert [one["where"] for one in (debian, conda)] == [
        "requirements.txt:1:1",
        "requirements.txt:2:1",
    ]
    assert "Debian" in debian["what"] and debian["mend"] == "delete the line"
    assert "conda" in conda["what"] and "write numpy==VERSION" in conda["mend"]


@from_the_index
def test_an_import_that_fails_blocks_the_activation(appliance: Server, index: None):
    activation = appliance.activate(packed("pkg-resources-is-gone"))
    assert activation["state"] == "failed"
    (problem,) = activation["problems"]
    assert "setuptools<82" in problem["mend"]
    assert "import pkg_resources" in activation["traceback"]


def test_what_was_printed_before_a_crash_is_there_and_where_it_was(run: Run, appliance: Server):
    (artifact,) = run("print-before-crash")
    assert artifact["error"]["code"] == "package-crashed"
    assert "SIGSEGV" in artifact["error"]["what"]
    assert "before the crash" in log_of(appliance, artifact)
    assert all(name in artifact["error"]["traceback"] for name in ("deep", "extract"))


def test_what_was_printed_before_a_timeout_is_there_and_where_it_was(run: Run, appliance: Server):
    (artifact,) = run("print-before-timeout")
    assert artifact["error"]["limit"] == "wall_s"
    assert {f"step {n}" for n in range(5)} <= set(log_of(appliance, artifact))
    assert "extract.py" in artifact["error"]["what"] + artifact["error"]["traceback"]


@from_the_index
def test_a_bar_that_is_redrawn_is_one_line_at_its_end(run: Run, appliance: Server, index: None):
    (artifact,) = run("redrawn-progress-bar")
    drawn = [line for line in log_of(appliance, artifact) if "%|" in line]
    assert "100%" in drawn[-1] and "60/60" in drawn[-1]
    assert len(drawn) < 10 and max(map(len, drawn)) < 200


def test_files_may_be_renamed_into_the_outputs(run: Run):
    artifacts = run("rename-into-outputs", 3)
    assert results(artifacts) == [{"rename": "ok", "replace": "ok", "move": "ok"}] * 3


@from_the_index
def test_a_script_may_be_called_python_something(run: Run, index: None):
    assert results(run("script-called-python-something")) == ["1234567891026"]


def test_what_programs_look_for_is_there(run: Run):
    told = [
        "cell",
        "libc.so.6",
        f"{OFFICE}.spreadsheetml.sheet",
        f"{OFFICE}.wordprocessingml.document",
    ]
    assert results(run("seeks-its-tools", 2)) == [told] * 2


def test_a_run_that_kills_itself_is_dead(run: Run):
    for artifact in run("signals-itself", 3):
        assert artifact["error"]["code"] == "package-crashed"
        assert "SIGKILL" in artifact["error"]["what"]


def test_a_run_is_told_what_it_may_use(run: Run):
    for artifact in run("sizes-itself", 2):
        (told,) = results([artifact])
        assert set(told["cpus"]) == {artifact["limits"]["cpus"]}
        assert told["paths"] == []


def test_a_run_over_its_time_keeps_what_there_is(run: Run, appliance: Server):
    (artifact,) = run("spin-on-a-page")
    job = appliance.http.get(f"/v1/jobs/{artifact['job']}").json()
    assert artifact["error"]["limit"] == "wall_s"
    assert job["progress"] == {"done": 3, "total": 10, "message": "page 3 of 10"}
    assert [output["path"] for output in artifact["outputs"]] == ["kept.txt"]
    assert artifact["is_partial"] and job["attempts"][0]["is_partial"]
    assert output_of(appliance, artifact, "kept.txt") == "p"
    assert "parse_page" in artifact["error"]["what"] + artifact["error"]["traceback"]
    shown = appliance.command("job", "show", artifact["job"])
    assert "3 of 10 page 3 of 10" in shown.stdout


@from_the_index
def test_what_is_too_new_for_its_python_is_told_so(appliance: Server, index: None):
    try:
        discover("==3.9.*")
    except NoInterpreter:
        lacking("Python 3.9")
    activation = appliance.activate(packed("too-new-for-its-python"))
    assert activation["state"] == "failed"
    (problem,) = activation["problems"]
    assert problem["code"] == "wrong-python"
    assert "3.9" in problem["what"] and "numpy" in problem["what"]
    assert "requires_python" in problem["mend"] and "lower" in problem["mend"]


def test_nothing_that_was_written_is_lost_at_the_end(run: Run, appliance: Server):
    for artifact in run("unflushed-at-exit", 2):
        assert results([artifact]) == [1]
        left = {output["path"]: output["size_bytes"] for output in artifact["outputs"]}
        assert left == {"a.csv": 8, "b.txt": 1, "c.txt": 1}


def test_who_wanted_the_network_is_told_what_it_wanted(run: Run, appliance: Server):
    (artifact,) = run("wanted-the-network")
    wanted = "the run tried to reach example.com:443; runs have no network"
    assert wanted in artifact["error"]["what"]
    assert any(wanted in line for line in log_of(appliance, artifact))


@from_the_index
def test_what_numpy_returns_is_json(run: Run, appliance: Server, index: None):
    (artifact,) = run("what-numpy-returns")
    assert results([artifact]) == [
        {"n": 3, "x": 0.5, "day": "2026-01-02", "sum": "1.50", "where": "a/b"}
    ]
    assert "read 3 rows" in log_of(appliance, artifact)


@from_the_index
def test_a_wheel_with_a_wrong_record_is_installed_and_noted(
    run: Run, appliance: Server, index: None
):
    (artifact,) = run("wrong-record")
    assert [Version(told) for told in results([artifact])] == [Version("2022.12.7")]
    installed = {one["name"]: one for one in artifact["environment"]["installed"]}
    assert any("LICENSE" in fault for fault in installed["furo"]["record_faults"])
    assert not installed["idna"].get("record_faults")


def test_the_cases_are_what_they_say():
    for path in CASES.glob("*/manifest.json"):
        assert json.loads(path.read_text())["name"] == path.parent.name
