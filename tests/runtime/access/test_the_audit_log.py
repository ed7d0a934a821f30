"""The audit log names who did what, and whoever changes it afterwards is found out."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.access.token_text import new_text

from ..conftest import Server, run_command, running


def verified(home: Path) -> tuple[int, dict[str, object]]:
    told = run_command("audit", "verify", "--json", environ={"FUMEHOOD_HOME": str(home)})
    return told.returncode, json.loads(told.stdout)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An appliance that did some acts and was stopped."""
    with running(tmp_path_factory.mktemp("audited") / "home") as server:
        for number in range(3):
            order = {"is_open": True, "reason": f"reason {number}"}
            assert server.http.put("/v1/gate", json=order).status_code == 200
            server.http.put("/v1/gate", json={"is_open": False})
        with server.as_(new_text()) as guesser:
            for _ in range(3):
                guesser.get("/v1/jobs")
    yield server


def test_it_is_whole_and_signed_to_its_end(ended: Server) -> None:
    code, told = verified(ended.home)
    assert (code, told["is_whole"], told["faults"]) == (0, True, [])
    assert told["signed_to"] == told["entries"] and told["key_id"]
    key = ended.home / "keys/appliance.pem"
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_it_is_exported_with_who_from_where_and_what_was_before(ended: Server) -> None:
    told = run_command("audit", "export", environ={"FUMEHOOD_HOME": str(ended.home)})
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    opened = next(one for one in lines if one.get("action") == "gate.open")
    assert opened["who"].startswith("token:tests-")
    assert opened["details"]["from"] == "127.0.0.1" and opened["details"]["request_id"]
    assert opened["details"]["before"] == "closed"
    (failed,) = [one for one in lines if one.get("action") == "login.failed"]
    assert failed["details"] == {"count": 3, "addresses": 1, "from": {"127.0.0.1": 3}}
    assert "fmh_" not in told.stdout
    openings = [one["seq"] for one in lines if one.get("action") == "gate.open"]
    signed = {one["seq"] for one in lines if one["kind"] == "head"}
    assert set(openings) <= signed, "the log is signed at every opening of the gate"


TAMPERINGS = {
    "an entry is altered": ["UPDATE audit SET who = 'eve' WHERE seq = 3"],
    "an entry is altered with its digest": [
        "UPDATE audit SET who = 'eve', digest = 'sha256:0' WHERE seq = (SELECT max(seq) FROM audit)"
    ],
    "an entry is removed": ["DELETE FROM audit WHERE seq = 3"],
    "the first entry is removed": ["DELETE FROM audit WHERE seq = 1"],
    "entries are reordered": [
        "UPDATE audit SET seq = 1000 WHERE seq = 3",
        "UPDATE audit SET seq = 3 WHERE seq = 4",
        "UPDATE audit SET seq = 4 WHERE seq = 1000",
    ],
    "the end is cut off": ["DELETE FROM audit WHERE seq > 4"],
    "the end is cut off, with what was signed": [
        "DELETE FROM audit WHERE seq > 4",
        "DELETE FROM audit_heads WHERE seq > 4",
    ],
    "all of it is gone": ["DELETE FROM audit", "DELETE FROM audit_heads"],
    "a signature is forged": [
        "UPDATE audit_heads SET seq = 1, digest = (SELECT digest FROM audit)"
    ],
}


@pytest.mark.parametrize("statements", TAMPERINGS.values(), ids=TAMPERINGS)
def test_whoever_tampers_with_it_is_found_out(ended: Server, statements: list[str]) -> None:
    database = ended.home / "fumehood.db"
    before = database.read_bytes()
    try:
        with sqlite3.connect(database) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
        code, told = verified(ended.home)
    finally:
        for beside in ended.home.glob("fumehood.db-*"):
            beside.unlink()
        database.write_bytes(before)
    assert (code, told["is_whole"]) == (7, False), told
    assert told["faults"]


def test_a_head_beside_the_key_that_was_changed_is_found_out(ended: Server) -> None:
    file = ended.home / "keys/audit-head.json"
    right = file.read_text()
    for wrong in ("{}", right.replace('"seq":', '"seq":1')):
        file.write_text(wrong)
        assert verified(ended.home)[0] == 7, wrong
    file.write_text(right)
    assert verified(ended.home)[0] == 0


def test_a_key_that_others_can_read_is_refused_at_the_start(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home):
        pass
    (home / "keys/appliance.pem").chmod(0o644)
    refused = run_command("up", "--port", "0", environ={"FUMEHOOD_HOME": str(home)})
    assert refused.returncode == 2
    assert "chmod 600" in refused.stderr
