"""The log of a process: JSON on request, about a job where it is, no secrets, bounded."""

import base64
import io
import json
import logging
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from support.wheels import make_wheel

from runtime.settings.setting_types import IndexSettings, TelemetrySettings, WebhookSettings
from runtime.settings.settings import Settings
from runtime.telemetry.about import about
from runtime.telemetry.json_lines import MOST_CHARS, json_lines
from runtime.telemetry.log_bounds import MOST_CAUSES, WINDOW_S, Causes
from runtime.telemetry.logs import BoundedHandler, TextLines
from runtime.telemetry.redaction import Redaction, redaction_of

from ..conftest import run_command, running, zipped

NEEDY = {
    "manifest.json": json.dumps({"schema": 1, "name": "needy", "version": "1.0"}),
    "requirements.txt": "sound\n",
}
TOKEN = "fmh_" + "A1b2C3d4" * 6 + "Z"
SETTINGS = Settings(
    secrets={
        "API": SecretStr("s3cr3t/of the package"),
        "LINES": SecretStr("first line of it\nsecond line of it"),
    },
    docket_url="redis://ops:hunter2%40home@queue:6379/0",
    index=IndexSettings(password=SecretStr("index-pass"), proxy=SecretStr("http://u:pr0xy-pw@p:1")),
    webhooks=WebhookSettings(secret=SecretStr("hook-secret")),
    telemetry=TelemetrySettings(traces_headers={"x-key": SecretStr("collector-key")}),
)
HIDDEN = (
    "s3cr3t/of the package",
    quote("s3cr3t/of the package", safe=""),
    base64.b64encode(b"s3cr3t/of the package").decode(),
    "second line of it",
    "hunter2%40home",
    "hunter2@home",
    "index-pass",
    "pr0xy-pw",
    "hook-secret",
    "collector-key",
    TOKEN,
)


class Hand:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def heard(
    *, formatter: logging.Formatter, most: int = 1000, clock: Hand | None = None
) -> Iterator[io.StringIO]:
    """Offer what is written of all that is logged meanwhile, below `fumehood.tried` and beside."""
    stream = io.StringIO()
    handler = BoundedHandler(stream, most=most, monotonic=clock or Hand())
    handler.setFormatter(formatter)
    names = ("fumehood.tried", "docket.worker", "uvicorn.error", "py.warnings")
    loggers = [logging.getLogger(name) for name in names]
    for one in loggers:
        one.addHandler(handler)
        one.propagate = False
    try:
        yield stream
    finally:
        for one in loggers:
            one.removeHandler(handler)
            one.propagate = True


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_lines_on_request_and_nothing_else(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home, telemetry__log_format="json") as server:
        wheel = make_wheel(tmp_path, "sound")
        assert server.command("wheelhouse", "add", wheel).returncode == 0
        assert server.activate(zipped("counts-words", changes=NEEDY))["state"] == "succeeded"
        for path in (*home.glob("environments/*"), *home.glob("wheelhouse/*/sound")):
            shutil.rmtree(path, ignore_errors=True)
        job = server.ended(server.submit("needy").json()["id"])
        worker = server.http.get("/v1/workers").json()["items"][0]["id"]
        code = server.login.partition("code=")[2]
    log = (tmp_path / "home.log").read_text()
    told = lines_of(log)
    assert any("is listening on" in one["event"] for one in told)
    for one in told:
        assert {"timestamp", "level", "event", "logger"} <= set(one)
        assert datetime.fromisoformat(one["timestamp"]).utcoffset() is not None
        assert one["timestamp"].endswith("Z")
    failures = [one for one in told if "failed on our side" in one["event"]]
    assert [(one["job"], one["worker"]) for one in failures] == [(job["id"], worker)] * 3
    assert [one["attempt"] for one in failures] == [1, 2, 3]
    assert all("Traceback" in one["exception"] for one in failures)
    assert code not in log


def test_a_fault_at_the_start_is_a_line_too_and_hides_a_password(tmp_path: Path) -> None:
    environ = {
        "FUMEHOOD_HOME": str(tmp_path / "home"),
        "FUMEHOOD_DOCKET_URL": "memory://ops:hunter2pass@here",
    }
    done = run_command("worker", "--log-format", "json", environ=environ)
    assert done.returncode != 0
    (*_, last) = lines_of(done.stderr)
    assert last["level"] == "critical" and "[settings-refused]" in last["event"]
    assert "hunter2pass" not in done.stderr


def test_text_is_as_it_was(tmp_path: Path) -> None:
    with running(tmp_path / "home"):
        pass
    lines = (tmp_path / "home.log").read_text().splitlines()
    (said,) = [line for line in lines if "no longer listening" in line]
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO fumehood\.serve no longer", said)


@pytest.mark.parametrize("make", [json_lines, TextLines], ids=["json", "text"])
def test_no_line_shows_a_secret(make: Any) -> None:
    log = logging.getLogger("fumehood.tried")
    with heard(formatter=make(redaction_of(SETTINGS))) as stream:
        log.warning("sent %s to %s", HIDDEN[0], SETTINGS.docket_url)
        log.warning("header Authorization: Basic c2VjcmV0OnRva2Vu, then Bearer %s", TOKEN)
        log.warning(
            "quoted %r, escaped %s", HIDDEN[0], json.dumps("first line of it\nsecond line of it")
        )
        for one in HIDDEN:
            try:
                raise ValueError(f"{one} cannot be had from redis://ops:hunter2%40home@queue/0")
            except ValueError:
                log.exception("it failed")
    said = stream.getvalue()
    assert said.count("it failed") == len(HIDDEN)
    assert [one for one in (*HIDDEN, "c2VjcmV0OnRva2Vu") if one in said] == []
    assert "redis://**********@queue" in said


def test_a_login_in_an_address_of_nobodys_is_hidden_too() -> None:
    said = Redaction().text("GET https://bob:pa55@[::1]:80/x?code=abcdefghijklmnop1234 and a@b.c")
    assert said == "GET https://**********@[::1]:80/x?code=********** and a@b.c"


def test_libraries_and_warnings_are_lines_as_well() -> None:
    with heard(formatter=json_lines(Redaction())) as stream, about(job="j", attempt=2, worker="w"):
        logging.getLogger("docket.worker").warning("redis is away")
        logging.getLogger("uvicorn.error").error("a line\nand another\u2028and a third")
        logging.captureWarnings(True)
        try:
            warnings.warn("too old", DeprecationWarning, stacklevel=1)
        finally:
            logging.captureWarnings(False)
    lines = stream.getvalue()
    told = lines_of(lines)
    assert [one["logger"] for one in told] == ["docket.worker", "uvicorn.error", "py.warnings"]
    assert all((one["job"], one["attempt"], one["worker"]) == ("j", 2, "w") for one in told)
    assert told[1]["event"] == "a line\nand another\u2028and a third"
    assert lines.isascii() and lines.count("\n") == 3


def test_a_field_has_an_end_and_a_secret_at_the_cut_is_hidden() -> None:
    secret = "s3cr3t/of the package"
    with heard(formatter=json_lines(redaction_of(SETTINGS))) as stream:
        said = "x" * (MOST_CHARS - 10) + secret + "y" * MOST_CHARS
        logging.getLogger("fumehood.tried").error(said)
    (one,) = lines_of(stream.getvalue())
    assert len(one["event"]) < MOST_CHARS + 20
    assert secret[:6] not in one["event"]


@pytest.mark.parametrize("make", [json_lines, TextLines], ids=["json", "text"])
def test_one_cause_is_heard_so_often_and_what_was_left_out_is_counted(make: Any) -> None:
    clock = Hand()
    log = logging.getLogger("fumehood.tried")

    def fail(number: int) -> None:
        log.error("statement %d failed", number)

    with heard(formatter=make(Redaction()), most=3, clock=clock) as stream:
        for number in range(50):
            fail(number)
        log.warning("something else")
        assert stream.getvalue().count("failed") == 3
        assert stream.getvalue().count("something else") == 1
        clock.now = WINDOW_S
        fail(50)
        clock.now = WINDOW_S * 2 + 1
        for number in range(5):
            fail(number)
        clock.now = WINDOW_S * 4
        log.warning("long after")
    said = stream.getvalue()
    if make is json_lines:
        told = lines_of(said)
        again = next(one for one in told if one["event"] == "statement 50 failed")
        assert again["left_out"] == 47
        (summary,) = [one for one in told if "were left out" in one["event"]]
        assert summary["left_out"] == 2
    else:
        assert "(47 more like this were left out before)" in said
        assert "2 more lines of one cause were left out" in said


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 90)), max_size=80), st.integers(1, 5))
def test_every_line_is_told_or_counted_as_left_out(
    steps: list[tuple[int, float]], most: int
) -> None:
    causes = Causes(most=most)
    at = 0.0
    told = counted = 0
    for cause, later in steps:
        at += later
        left_out = causes.listen(cause, at=at)
        counted += sum(number for _, number in causes.over(at=at))
        if left_out is not None:
            told += 1
            counted += left_out
    counted += sum(number for _, number in causes.over(at=at + 2 * WINDOW_S))
    assert told + counted == len(steps)


def test_there_are_only_so_many_causes() -> None:
    causes = Causes(most=1)
    for number in range(MOST_CAUSES + 50):
        causes.listen(number, at=0.0)
        list(causes.over(at=0.0))
    assert len(causes.heard) == MOST_CAUSES
