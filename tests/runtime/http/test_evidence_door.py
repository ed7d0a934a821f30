"""What a version installs is there for anybody to take away: its lock, its bill of materials."""

import json
from pathlib import Path

from support.wheels import make_wheel

from ..conftest import Server, zipped

SUBJECT = "locked-words"


def bundle(version: str, *, requirements: str) -> bytes:
    manifest = {"schema": 1, "name": SUBJECT, "version": version}
    changes = {"manifest.json": json.dumps(manifest), "requirements.txt": requirements}
    return zipped("counts-words", changes=changes)


def prepare(server: Server, folder: Path) -> None:
    """Have two versions with different locks."""
    for name, version in (("evidence-a", "1.0"), ("evidence-a", "1.1"), ("evidence-b", "2.0")):
        wheel = make_wheel(folder, name, version)
        assert server.command("wheelhouse", "add", wheel).returncode == 0
    for version, requirements in (("1.0", "evidence-a<1.1\n"), ("2.0", "evidence-a\nevidence-b\n")):
        activation = server.activate(bundle(version, requirements=requirements))
        assert activation["state"] == "succeeded", activation


def test_the_lock_and_the_bill_of_materials_of_a_version_are_there_to_take(
    server: Server, tmp_path: Path
) -> None:
    prepare(server, tmp_path)
    path = f"/v1/packages/{SUBJECT}/versions/2.0"
    answer = server.http.get(f"{path}/lock")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/toml")
    known = {"If-None-Match": answer.headers["etag"]}
    assert server.http.get(f"{path}/lock", headers=known).status_code == 304

    shown = server.command("package", "lock", SUBJECT)
    assert (shown.returncode, shown.stdout) == (0, answer.text)
    saved = tmp_path / "pylock.toml"
    assert server.command("package", "lock", SUBJECT, "2.0", "-o", saved).returncode == 0
    assert saved.read_text() == answer.text
    told = json.loads(server.command("package", "lock", SUBJECT, "--json").stdout)
    assert [one["name"] for one in told["packages"]] == ["evidence-a", "evidence-b"]
    assert told["digest"].endswith(answer.headers["etag"].strip('"'))

    bill = server.http.get(f"{path}/sbom")
    assert bill.json()["bomFormat"] == "CycloneDX"
    assert {"evidence-a", "evidence-b", "cpython"} == {
        component["name"] for component in bill.json()["components"]
    }
    assert server.command("package", "sbom", SUBJECT, "2.0").stdout == bill.text

    changed = server.command("package", "lock", SUBJECT, "2.0", "--since", "1.0", "--json")
    assert json.loads(changed.stdout) == [
        {"name": "evidence-a", "before": "1.0", "after": "1.1"},
        {"name": "evidence-b", "before": "", "after": "2.0"},
    ]
    told = server.command("package", "lock", SUBJECT, "2.0", "--since", "2.0")
    assert told.stdout.strip() == "nothing changed"


def test_what_was_never_activated_has_no_lock_and_says_how_to_get_one(server: Server) -> None:
    server.http.post("/v1/packages", content=bundle("9.0", requirements=""))
    for what in ("lock", "sbom"):
        answer = server.http.get(f"/v1/packages/{SUBJECT}/versions/9.0/{what}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not-locked")
        assert f"fumehood package activate {SUBJECT} 9.0" in answer.json()["problems"][0]["mend"]
    refused = server.command("package", "lock", SUBJECT, "9.0")
    assert refused.returncode == 4 and "not-locked" in refused.stderr
    assert server.command("package", "lock", SUBJECT, "8.0").returncode == 4
    assert server.command("package", "lock", "nobody").returncode == 4
