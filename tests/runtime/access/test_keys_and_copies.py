"""Another key for the appliance, and the audit log copied elsewhere."""

import json
import socket
from pathlib import Path

from runtime.access.key_rotation import rotate
from runtime.access.signing_key import signing_key

from ..conftest import run_command, running


def verified(home: Path) -> tuple[int, dict[str, object]]:
    told = run_command("audit", "verify", "--json", environ={"FUMEHOOD_HOME": str(home)})
    return told.returncode, json.loads(told.stdout)


def test_what_a_former_key_signed_is_believed_and_no_other(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environ = {"FUMEHOOD_HOME": str(home)}
    with running(home):
        busy = run_command("audit", "rotate-key", environ=environ)
        assert busy.returncode == 6, "the one that runs would sign with the former key"
    first = (home / "keys/appliance.pem").read_bytes()
    for _ in range(2):
        done = run_command("audit", "rotate-key", "--json", environ=environ)
        assert done.returncode == 0, done.stderr
        with running(home) as server:
            server.http.put("/v1/gate", json={"is_open": True, "reason": "to sign"})
    code, told = verified(home)
    assert (code, told["faults"], told["key_id"]) == (0, [], json.loads(done.stdout)["key_id"])
    assert first not in b"".join(one.read_bytes() for one in (home / "keys").iterdir())
    export = run_command("audit", "export", environ=environ).stdout
    signers = {one["key_id"] for one in map(json.loads, export.splitlines()) if "key_id" in one}
    assert len(signers) == 3 and export.count('"key.rotate"') == 2

    retired = home / "keys/retired-keys.json"
    right = retired.read_text()
    for wrong in (
        "[]",
        right.replace('"until_seq":', '"until_seq":1'),
        json.dumps(list(reversed(json.loads(right)))),
    ):
        retired.write_text(wrong)
        assert verified(home)[0] == 7, wrong
    retired.write_text(right)
    assert verified(home)[0] == 0


def test_a_key_of_ones_own_is_not_believed(tmp_path: Path) -> None:
    home, others = tmp_path / "home", tmp_path / "others"
    with running(home):
        pass
    others.mkdir()
    signing_key(others)
    rotate(others, until_seq=1000)
    ours = (home / "keys/appliance.pem").read_bytes()
    (home / "keys/retired-keys.json").write_bytes((others / "keys/retired-keys.json").read_bytes())
    assert verified(home)[0] == 0, "a word that the key of this home did not give changes nothing"
    (home / "keys/appliance.pem").write_bytes((others / "keys/appliance.pem").read_bytes())
    assert verified(home)[0] == 7, "nor does another key"
    (home / "keys/appliance.pem").write_bytes(ours)


def test_a_rotation_that_broke_off_leaves_the_former_key(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home):
        pass
    before = (home / "keys/appliance.pem").read_bytes()
    rotate(home, until_seq=1000)
    (home / "keys/appliance.pem").rename(home / "keys/appliance-next.pem")
    (home / "keys/appliance.pem").write_bytes(before)
    (home / "keys/appliance.pem").chmod(0o600)
    assert verified(home)[0] == 0
    done = run_command("audit", "rotate-key", environ={"FUMEHOOD_HOME": str(home)})
    assert done.returncode == 0, done.stderr
    code, told = verified(home)
    assert (code, told["faults"]) == (0, [])


def test_the_log_is_copied_whole_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    copy, place = tmp_path / "audit.ndjson", tmp_path / "log.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(place))
        settings = {"audit_copy": str(copy), "audit_syslog": str(place)}
        for _ in range(2):
            with running(tmp_path / "home", **settings):
                pass
        heard = syslog.recv(100_000).decode()
    export = run_command(
        "audit", "export", environ={"FUMEHOOD_HOME": str(tmp_path / "home")}
    ).stdout
    entries = [one for one in map(json.loads, export.splitlines()) if one["kind"] == "entry"]
    assert [json.loads(line) for line in copy.read_text().splitlines()] == entries
    assert copy.stat().st_mode & 0o777 == 0o600
    assert heard.startswith("<86>fumehood-audit: {") and '"seq": 1' in heard


def test_a_copy_that_cannot_be_written_is_told_and_stops_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "nowhere" / "audit.ndjson"
    with running(tmp_path / "home", audit_copy=str(copy)) as server:
        assert server.http.get("/v1/me").status_code == 200
    assert "the audit log is not copied" in (tmp_path / "home.log").read_text()
