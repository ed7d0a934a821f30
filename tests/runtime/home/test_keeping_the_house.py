"""The wheelhouse is kept in order from the command line, with and without an appliance."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.index_server import index_of
from support.sdists import BACKEND, SYSTEM, sdist_of
from support.wheels import UPLOADED, make_wheel, pack_wheel, wheel_files
from support.world import open_folder

from wheelhouse.store import Wheelhouse

from ..conftest import Server, run_command, running, zipped

ACTION = "def run(*, context, **_):\n    pass\n"


@pytest.fixture
def home() -> Iterator[Path]:
    with open_folder() as world:
        yield world / "home"


@pytest.fixture(scope="module")
def kept() -> Iterator[Server]:
    """An appliance of our own, since pruning is about all that is in a house."""
    with open_folder() as world, running(world / "home") as server:
        yield server


def at(home: Path, *words: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environ = {f"FUMEHOOD_{name.upper()}": value for name, value in settings.items()}
    return run_command(*words, environ={"FUMEHOOD_HOME": str(home), **environ})


def said(done: subprocess.CompletedProcess[str], *, code: int = 0) -> object:
    """Return the JSON on stdout, or on stderr where it failed, as `code` says."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return json.loads(done.stderr if code else done.stdout)


def needing(name: str, requirements: str, version: str = "1.0") -> bytes:
    manifest = {"schema": 1, "name": name, "version": version}
    changes = {"manifest.json": json.dumps(manifest), "requirements.txt": requirements}
    return zipped("counts-words", changes=changes)


def locked(name: str, digest: str) -> bytes:
    """Return a bundle whose author locked the wheel of `name` 1.0 that has `digest`."""
    wheel = f'path = "{name}-1.0-py3-none-any.whl", hashes = {{ sha256 = "{digest[7:]}" }}'
    lock = (
        f'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "{name}"\n'
        f'version = "1.0"\nwheels = [{{ {wheel} }}]\n'
    )
    manifest = json.dumps({"schema": 1, "name": name, "version": "1.0"})
    changes = {"manifest.json": manifest, "pylock.toml": lock, "requirements.txt": f"{name}\n"}
    return zipped("counts-words", changes=changes)


def add(server: Server, folder: Path, name: str, version: str = "1.0") -> str:
    path = make_wheel(folder, name, version)
    added = said(at(server.home, "wheelhouse", "add", path, "--json"))
    return added[0]["sha256"]  # type: ignore[index]


def names(server: Server) -> set[str]:
    items = server.http.get("/v1/wheelhouse/wheels").json()["items"]
    return {f"{one['name']} {one['version']}" for one in items}


def test_a_house_without_an_appliance_is_filled_and_listed(home: Path, tmp_path: Path) -> None:
    added = at(home, "wheelhouse", "add", make_wheel(tmp_path, "demo"), "--json")
    assert "no appliance is running" in added.stderr
    assert [one["name"] for one in said(added)] == ["demo"]  # type: ignore[attr-defined]
    assert "demo" in at(home, "wheelhouse", "list").stdout
    assert "demo-1.0" in at(home, "wheelhouse", "show", "demo").stdout


def test_pruning_never_takes_what_an_environment_or_a_lock_needs(
    kept: Server, tmp_path: Path
) -> None:
    for name, version in [("used", "1.0"), ("used", "2.0"), ("idle", "1.0"), ("theirs", "1.0")]:
        digest = add(kept, tmp_path, name, version)
    assert kept.activate(needing("prunes", "used==1.0\n"))["state"] == "succeeded"
    assert kept.activate(needing("prunes", "used==2.0\n", "2.0"))["state"] == "succeeded"
    assert kept.http.post("/v1/packages", content=locked("theirs", digest)).is_success
    said(at(kept.home, "env", "gc", "--older-than", "0d", "--json"))

    young = said(at(kept.home, "wheelhouse", "prune", "--json"))
    assert young["wheels"] == []  # type: ignore[index]
    words = ("wheelhouse", "prune", "--older-than", "0d")
    rehearsed = said(at(kept.home, *words, "--dry-run", "--json"))
    assert [one["name"] for one in rehearsed["wheels"]] == ["idle"]  # type: ignore[index]
    assert "idle 1.0" in names(kept)
    done = said(at(kept.home, *words, "--json"))
    assert done["wheels"] == rehearsed["wheels"]  # type: ignore[index]
    assert names(kept) == {"used 1.0", "used 2.0", "theirs 1.0"}

    seen = {"If-Match": kept.http.get("/v1/packages/prunes").headers["etag"]}
    rolled = kept.http.post("/v1/packages/prunes/rollback", headers=seen)
    assert rolled.json()["active_version"] == "1.0"
    assert kept.ended(kept.submit("prunes").json()["id"])["state"] == "succeeded"
    audit = kept.http.get("/v1/audit", params={"action": "wheel.prune"}).json()["items"]
    assert [entry["subject"] for entry in audit] == ["idle-1.0-py3-none-any.whl"]


def test_a_wheel_is_removed_only_if_nothing_needs_it(kept: Server, tmp_path: Path) -> None:
    unused, locks, runs = (add(kept, tmp_path, name) for name in ("spare", "sealed", "worn"))
    place = "/v1/wheelhouse/wheels"
    assert kept.http.delete(f"{place}/{unused}").status_code == 204
    assert kept.http.delete(f"{place}/{unused}").status_code == 404
    assert kept.http.get("/simple/spare/").status_code == 404

    assert kept.http.post("/v1/packages", content=locked("sealed", locks)).is_success
    assert kept.activate(needing("wears", "worn\n"))["state"] == "succeeded"
    for digest, needs in (
        (locks, "pylock.toml of sealed 1.0"),
        (runs, "a version that was active"),
    ):
        refused = kept.http.delete(f"{place}/{digest}")
        assert refused.status_code == 409
        told = {problem["what"]: problem for problem in refused.json()["problems"]}
        assert any(needs in what for what in told)
        assert {problem["code"] for problem in told.values()} == {"wheel-in-use"}
        done = at(kept.home, "wheelhouse", "remove", digest, "--json")
        assert said(done, code=6)["code"] == "state-conflict"  # type: ignore[index]
    assert {"sealed 1.0", "worn 1.0"} <= names(kept)

    house = Wheelhouse(kept.home / "wheelhouse")
    file = house.path(house.get(runs))
    file.chmod(0o644)
    file.write_bytes(b"rotten")
    said(at(kept.home, "wheelhouse", "remove", runs, "--json"))
    add(kept, tmp_path, "worn")
    audit = kept.http.get("/v1/audit", params={"action": "wheel.remove"}).json()["items"]
    assert [entry["details"]["sha256"] for entry in audit] == [runs, unused]


def test_a_yanked_wheel_is_avoided_and_still_there_for_who_pins_it(
    kept: Server, tmp_path: Path
) -> None:
    add(kept, tmp_path, "drink", "1.0")
    digest = add(kept, tmp_path, "drink", "2.0")
    at(kept.home, "wheelhouse", "yank", digest, "--reason", "it leaks")
    page = kept.http.get(
        "/simple/drink/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    told = {one["filename"]: one["yanked"] for one in page.json()["files"]}
    assert told == {"drink-2.0-py3-none-any.whl": "it leaks", "drink-1.0-py3-none-any.whl": False}
    assert 'data-yanked="it leaks"' in kept.http.get("/simple/drink/").text
    newest = kept.activate(needing("drinks", "drink\n"))
    assert newest["prepared"]["inventory"]["installed"][0]["version"] == "1.0"
    pinned = kept.activate(needing("drinks", "drink==2.0\n", "2.0"))
    assert pinned["prepared"]["inventory"]["installed"][0]["version"] == "2.0"
    at(kept.home, "wheelhouse", "yank", digest, "--undo")
    assert "data-yanked" not in kept.http.get("/simple/drink/").text
    assert at(kept.home, "wheelhouse", "yank", "sha256:0").returncode == 4


def test_what_was_missing_is_mirrored_from_the_very_file(home: Path, tmp_path: Path) -> None:
    theirs = Wheelhouse(tmp_path / "theirs")
    theirs.add(make_wheel(tmp_path, "inner", "2.0"), origin=UPLOADED)
    theirs.add(make_wheel(tmp_path, "outer", requires=["inner>=1"]), origin=UPLOADED)
    with running(home) as server:
        failed = server.activate(needing("lacks", "outer>=1\n"))
    assert failed["state"] == "failed"
    file = tmp_path / "missing.txt"
    at(home, "wheelhouse", "missing", "-o", file)
    command = next(line for line in file.read_text().splitlines() if "wheelhouse mirror" in line)
    words = command.removeprefix("#   fumehood ").replace("missing.txt", str(file)).split()
    with index_of(theirs) as served:
        done = said(at(home, *words, "--json", index__url=served.url))
    assert sorted(done["fetched"]) == [  # type: ignore[index]
        "inner-2.0-py3-none-any.whl",
        "outer-1.0-py3-none-any.whl",
    ]
    assert said(at(home, "wheelhouse", "missing", "--json")) == []
    assert at(home, "wheelhouse", "verify", *words[3:]).returncode == 0
    with running(home) as server:
        again = server.activate(needing("lacks", "outer>=1\n"))
    assert again["state"] == "succeeded", again


def test_what_an_authors_lock_lacks_is_missing_too_and_printed_as_the_file(
    home: Path, tmp_path: Path
) -> None:
    theirs = Wheelhouse(tmp_path / "theirs")
    wheel = theirs.add(make_wheel(tmp_path, "inner"), origin=UPLOADED)
    better = pack_wheel(tmp_path, "inner-1.0-2-py3-none-any.whl", wheel_files("inner", "1.0"))
    theirs.add(better, origin=UPLOADED)
    with running(home) as server:
        problem = server.activate(locked("inner", wheel.sha256))["problems"][0]
        assert problem["code"] == "not-in-wheelhouse"
        assert "`fumehood wheelhouse mirror 'inner==1.0' --python 3." in problem["mend"]
        listed = at(home, "wheelhouse", "missing").stdout
        assert f"\ninner==1.0 --hash={wheel.sha256}  # for a lock in a bundle, Py" in listed
        file = tmp_path / "missing.txt"
        file.write_text(listed)
        with index_of(theirs) as served:
            done = said(at(home, "wheelhouse", "mirror", file, "--json", index__url=served.url))
        assert done["fetched"] == [wheel.filename], "not the one that fits best"  # type: ignore[index]
        version = "/v1/packages/inner/versions/1.0"
        place = server.http.post(f"{version}/activate").headers["location"]
        again = server.until(place, lambda one: one["state"] in ("succeeded", "failed"))
        assert again["state"] == "succeeded", again
    assert at(home, "wheelhouse", "missing").stdout == "# Nothing is missing.\n"


def test_a_wheel_for_another_python_does_not_settle_what_is_missing(
    home: Path, tmp_path: Path
) -> None:
    made = make_wheel(tmp_path, "native", tag="cp39-cp39-linux_x86_64")
    said(at(home, "wheelhouse", "add", made, "--json"))
    with running(home) as server:
        problem = server.activate(needing("lacks", "native\n"))["problems"][0]
    assert problem["code"] == "wrong-python-or-platform"
    assert "`fumehood wheelhouse mirror 'native' --python 3." in problem["mend"]
    listed = said(at(home, "wheelhouse", "missing", "--json"))
    assert [one["requirement"] for one in listed] == ["native"]  # type: ignore[attr-defined]


def test_a_cooldown_binds_the_mirror_too(home: Path, tmp_path: Path) -> None:
    theirs = Wheelhouse(tmp_path / "theirs")
    theirs.add(make_wheel(tmp_path, "demo", "1.0"), origin=UPLOADED)
    late = replace(UPLOADED, at=datetime(2026, 11, 20, tzinfo=UTC))
    theirs.add(make_wheel(tmp_path, "demo", "2.0"), origin=late)
    with index_of(theirs) as served:
        settings = {"index__url": served.url, "lock__exclude_newer": "2026-11-10T00:00:00Z"}
        done = said(at(home, "wheelhouse", "mirror", "demo", "--json", **settings))
    assert done["fetched"] == ["demo-1.0-py3-none-any.whl"]  # type: ignore[index]


def test_a_lock_is_mirrored_by_its_digests(home: Path, tmp_path: Path) -> None:
    theirs = Wheelhouse(tmp_path / "theirs")
    wheel = theirs.add(make_wheel(tmp_path, "inner", "2.0"), origin=UPLOADED)
    lock = tmp_path / "pylock.toml"
    lock.write_text(
        'lock-version = "1.0"\ncreated-by = "fumehood"\n[[packages]]\nname = "inner"\n'
        f'version = "2.0"\nwheels = [{{ path = "{wheel.filename}", '
        f'hashes = {{ sha256 = "{wheel.hex_digest}" }} }}]\n'
    )
    with index_of(theirs) as served:
        words = ("wheelhouse", "mirror", lock, "--python", "3.12", "--python", "3.13", "--json")
        done = said(at(home, *words, index__url=served.url))
    assert done == {"fetched": [wheel.filename], "already_here": 0}


def test_a_wheel_is_built_from_source_if_the_admin_allows_it(home: Path, tmp_path: Path) -> None:
    for name in ("tool", "extra-tool"):
        at(home, "wheelhouse", "add", make_wheel(tmp_path, name))
    loud = BACKEND.replace("import extra_tool", "import extra_tool; print('compiling thing')", 1)
    sdist = sdist_of(tmp_path, {"pyproject.toml": SYSTEM, "backend.py": loud})
    refused = at(home, "wheelhouse", "build", sdist)
    assert refused.returncode == 3 and "FUMEHOOD_SOURCE_BUILDS=true" in refused.stderr
    built = at(home, "wheelhouse", "build", sdist, "--json", source_builds="true")
    wheel = said(built)
    assert wheel["origin"]["kind"] == "built"  # type: ignore[index]
    assert "from thing-1.0.tar.gz sha256:" in wheel["origin"]["note"]  # type: ignore[index]
    assert "compiling thing" in built.stderr
    assert "thing-1.0" in at(home, "wheelhouse", "list").stdout
    with running(home) as server:
        assert server.activate(needing("builds", "thing==1.0\n"))["state"] == "succeeded"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["mirror", "six", "--python", "banana"], 2),
        (["mirror", "six", "--platform", "win_amd64"], 2),
        (["mirror", "--index-url=http://x.invalid"], 2),
        (["mirror", "-r other.txt"], 2),
        (["mirror", "not-there.txt"], 2),
        (["mirror", "{tmp}"], 2),
        (["mirror", "git+https://x.invalid/y"], 3),
        (["verify", "nobody"], 4),
        (["verify", "--python", "3"], 2),
        (["show", "nobody"], 4),
        (["export", "nobody", "-o", "{tmp}/x.tar", "--key", "{tmp}/key.pem"], 4),
        (["export", "-o", "{tmp}/x.tar", "--key", "{tmp}/key.pem"], 3),
        (["export", "-o", "{tmp}/nowhere/x.tar", "--key", "{tmp}/key.pem"], 2),
        (["import", "{tmp}/key.pem", "--trust", "{tmp}/key.pem"], 3),
        (["build", "{tmp}/key.pem"], 3),
        (["advisories", "import", "{tmp}/key.pem"], 3),
        (["remove", "../../x"], 4),
    ],
)
def test_what_cannot_be_done_is_said_with_its_mend(
    words: list[str], code: int, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "key.pem").write_text("no key at all")
    done = at(home, "wheelhouse", *(word.format(tmp=tmp_path) for word in words))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert code == 2 or "mend: " in done.stderr
    assert not (tmp_path / "x.tar").exists()


def test_a_source_distribution_is_not_added_and_how_to_build_it_is_told(
    home: Path, tmp_path: Path
) -> None:
    (tmp_path / "thing-1.0.tar.gz").write_bytes(b"\x1f\x8b")
    done = at(home, "wheelhouse", "add", tmp_path / "thing-1.0.tar.gz")
    assert done.returncode == 3
    assert "`fumehood wheelhouse build thing-1.0.tar.gz`" in done.stderr


def osv(folder: Path, name: str, *, fixed: str) -> Path:
    affected = {
        "package": {"ecosystem": "PyPI", "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}],
    }
    told = {
        "id": "PYSEC-1",
        "aliases": ["CVE-1"],
        "summary": "it leaks",
        "modified": "2026-11-01T00:00:00Z",
        "affected": [affected],
    }
    folder.mkdir()
    (folder / "one.json").write_text(json.dumps(told))
    return folder


def test_advisories_are_shown_with_wheels_and_environments_and_may_refuse(
    home: Path, tmp_path: Path
) -> None:
    at(home, "wheelhouse", "add", make_wheel(tmp_path, "leaky"))
    told = said(
        at(
            home,
            "wheelhouse",
            "advisories",
            "import",
            osv(tmp_path / "osv", "leaky", fixed="1.1"),
            "--json",
        )
    )
    assert told["advisories"] == 1  # type: ignore[index]
    with running(home) as server:
        active = server.activate(needing("leaks", "leaky\n"))
        assert active["state"] == "succeeded"
        (warning,) = active["prepared"]["install"]["warnings"]
        assert warning["code"] == "known-vulnerability" and "PYSEC-1" in warning["what"]
        listed = server.http.get("/v1/wheelhouse/wheels").json()["items"]
        assert [one["id"] for one in listed[0]["advisories"]] == ["PYSEC-1"]
        bom = server.http.get("/v1/packages/leaks/versions/1.0/sbom")
        assert bom.headers["content-type"].startswith("application/vnd.cyclonedx+json")
        assert [one["id"] for one in bom.json()["vulnerabilities"]] == ["PYSEC-1"]
        lock = server.http.get("/v1/packages/leaks/versions/1.0/lock")
        assert 'name = "leaky"' in lock.text
        assert server.http.get("/v1/packages/leaks/versions/9/sbom").status_code == 404
    key = active["prepared"]["environment_key"]
    assert "PYSEC-1" in at(home, "wheelhouse", "show", "leaky").stdout
    assert "PYSEC-1" in at(home, "env", "show", key).stdout
    own = said(at(home, "env", "sbom", key, "--json"))
    assert [one["id"] for one in own["vulnerabilities"]] == ["PYSEC-1"]  # type: ignore[index]
    known = said(at(home, "wheelhouse", "advisories", "list", "--json"))
    assert known["advisories"][0]["used_by"] == [key]  # type: ignore[index]

    with running(home, lock__advisories="refuse") as server:
        refused = server.activate(needing("leaks", "leaky\n", "2.0"))
        assert [one["code"] for one in refused["problems"]] == ["known-vulnerability"]
        assert server.http.get("/v1/packages/leaks").json()["active_version"] == "1.0"
        assert (
            server.command("wheelhouse", "add", make_wheel(tmp_path, "leaky", "1.1")).returncode
            == 0
        )
        assert server.activate(needing("leaks", "leaky\n", "3.0"))["state"] == "succeeded"


def test_the_audit_log_is_read_and_a_changed_entry_found(kept: Server, tmp_path: Path) -> None:
    add(kept, tmp_path, "logged")
    assert "wheel.add" in at(kept.home, "audit", "list").stdout
    assert at(kept.home, "audit", "verify").returncode == 0
    assert at(tmp_path, "audit", "verify").returncode == 4
