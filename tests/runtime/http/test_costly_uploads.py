"""At every door: what is costly to judge is a refusal, nothing else waits, and nothing stays."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support.costly import BUNDLES, SNAPSHOTS, WHEELS
from support.wheels import UPLOADED, make_wheel
from typer.testing import CliRunner

import packages.archive
import wheelhouse.store
from runtime.cli.packages.package import app
from runtime.problem_table import EXIT_REJECTED, fault_of
from wheelhouse.errors import WheelRefused
from wheelhouse.judges.budget import Budget
from wheelhouse.store import Wheelhouse

from ..conftest import Server, run_command, zipped
from .test_packages_door import named

TINY = Budget(answer_bytes=10)
"""Less than any answer."""


@pytest.mark.parametrize("name", BUNDLES)
def test_a_costly_bundle_is_refused_at_the_door_and_leaves_nothing(
    name: str, server: Server
) -> None:
    code, build = BUNDLES[name]
    if not code:
        pytest.skip("it is right")
    before = {path.name for path in (server.home / "bundles").glob("*")}
    with ThreadPoolExecutor() as pool:
        sent = pool.submit(server.http.post, "/v1/packages", content=build())
        while not sent.done():
            assert server.http.get("/healthz").status_code == 200
    refused = sent.result()
    assert (refused.status_code, refused.json()["code"]) == (422, "bundle-refused")
    assert code in [problem["code"] for problem in refused.json()["problems"]]
    assert len(refused.content) < 100_000
    assert {path.name for path in (server.home / "bundles").glob("*")} == before
    assert not list((server.home / "cache").iterdir())


@pytest.mark.parametrize("name", WHEELS)
def test_a_costly_wheel_is_refused_at_the_door_and_leaves_nothing(
    name: str, server: Server, tmp_path: Path
) -> None:
    code, build = WHEELS[name]
    wheel = build(tmp_path)
    params, content = {"filename": wheel.name}, wheel.read_bytes()
    refused = server.http.post("/v1/wheelhouse/wheels", params=params, content=content)
    assert (refused.status_code, refused.json()["code"]) == (422, "wheel-refused")
    assert code in [problem["code"] for problem in refused.json()["problems"]]
    assert server.http.get("/v1/wheelhouse/wheels", params={"name": "demo"}).json()["items"] == []


@pytest.mark.parametrize("name", ["n" * 300, "n" * 5_000, "%00", "..%2f.."])
def test_a_name_that_no_wheel_can_have_is_of_none(name: str, server: Server) -> None:
    answer = server.http.get(f"/v1/wheelhouse/wheels?name={name}")
    assert answer.status_code in (200, 422) and not answer.json().get("items")


def test_what_crosses_its_budget_is_too_costly_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    upload = tmp_path / "b.zip"
    upload.write_bytes(zipped("counts-words", changes=named("words")))
    judgement = replace(packages.archive.BUNDLE, budget=TINY)
    monkeypatch.setattr(packages.archive, "BUNDLE", judgement)
    done = CliRunner().invoke(app, ["check", str(upload), "--json"])
    assert done.exit_code == EXIT_REJECTED
    assert '"too-costly"' in done.output and "an answer of 10 bytes" in done.output


def test_what_crosses_its_budget_is_a_422(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(wheelhouse.store, "WHEEL", replace(wheelhouse.store.WHEEL, budget=TINY))
    house = Wheelhouse(tmp_path / "house")
    with pytest.raises(WheelRefused) as refused:
        house.add(make_wheel(tmp_path, "demo"), origin=UPLOADED)
    fault = fault_of(refused.value)
    assert (fault.answer.status, fault.answer.exit_code) == (422, EXIT_REJECTED)
    (problem,) = fault.problems
    assert (problem.code, problem.where) == ("too-costly", "demo-1.0-py3-none-any.whl")


@pytest.mark.parametrize(
    ("words", "build"),
    [
        (
            ("wheelhouse", "advisories", "import"),
            SNAPSHOTS["100,000 lists in each other"][1],
        ),
        (("package", "check"), BUNDLES["tar: a sparse map"][1]),
        (("package", "check"), BUNDLES["manifest: a number of 5,000 digits"][1]),
    ],
)
def test_the_command_line_refuses_what_is_costly_with_exit_3(
    words: tuple[str, ...], build: Callable[[], bytes], tmp_path: Path
) -> None:
    upload = tmp_path / "upload.zip"
    upload.write_bytes(build())
    done = run_command(*words, upload, environ={"FUMEHOOD_HOME": str(tmp_path / "home")})
    assert done.returncode == EXIT_REJECTED, done.stderr
    assert "internal-error" not in done.stdout + done.stderr


def test_a_thousand_inputs_are_taken_by_name_once_each(counting: Server) -> None:
    files = {f"{number}.txt": b"" for number in range(1_000)}
    assert counting.submit("counts-words", files=files).status_code == 202
    files["one too many.txt"] = b""
    refused = counting.submit("counts-words", files=files)
    assert refused.json()["problems"][0]["code"] == "too-many-inputs"
