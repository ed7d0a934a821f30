"""What comes through the gate is written down; what opens the way to it goes nowhere else."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.index_server import Served, index_of
from support.proxy import Tunnels, proxy_of
from support.tls import Authority, make_authority
from support.wheels import UPLOADED, make_wheel
from support.world import open_folder

from wheelhouse.store import Wheelhouse

from ..conftest import Server, running, zipped

LOGIN = ("robot-of-the-index", "s3cret-of-the-index")
PROXY_LOGIN = ("robot-of-the-proxy", "s3cret-of-the-proxy")
SECRETS = [text.encode() for text in (*LOGIN, *PROXY_LOGIN)]
SPY = """
import os, pathlib

def extract(*, job, **_):
    import outer
    told = dict(os.environ)
    for path in ("/proc/self/environ", "/proc/self/cmdline", "/proc/self/mountinfo"):
        try:
            told[path] = pathlib.Path(path).read_text(errors="replace")
        except OSError as error:
            told[path] = str(error)
    return told
"""
HOOK = "def run(*, context, **_):\n    import os\n    print(dict(os.environ))\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Wheelhouse:
    """What a private index has."""
    folder = tmp_path_factory.mktemp("theirs")
    house = Wheelhouse(folder / "house")
    house.add(make_wheel(folder, "inner", "2.0"), origin=UPLOADED)
    house.add(make_wheel(folder, "outer", requires=["inner>=1"]), origin=UPLOADED)
    for number in range(12):
        house.add(make_wheel(folder, f"many{number}"), origin=UPLOADED)
    return house


@pytest.fixture(scope="module")
def private(theirs: Wheelhouse, authority: Authority) -> Iterator[Served]:
    with index_of(theirs, login=LOGIN, tls=authority.server) as served:
        yield served


@pytest.fixture(scope="module")
def proxy() -> Iterator[Tunnels]:
    with proxy_of(PROXY_LOGIN) as tunnels:
        yield tunnels


@pytest.fixture(scope="module")
def gated(private: Served, proxy: Tunnels, authority: Authority) -> Iterator[Server]:
    """An appliance whose gate leads through a proxy to a private index, by a company's CA."""
    with (
        open_folder() as world,
        running(
            world / "home",
            index__url=private.url,
            index__username=LOGIN[0],
            index__password=LOGIN[1],
            index__ca_bundle=str(authority.ca),
            index__proxy=proxy.url,
        ) as server,
    ):
        yield server


def bundle(name: str, requirements: str) -> bytes:
    manifest = {"schema": 1, "name": name, "version": "1.0"}
    changes = {
        "manifest.json": json.dumps(manifest),
        "requirements.txt": requirements,
        "extract.py": SPY,
        "hooks/on_activate.py": HOOK,
    }
    return zipped("counts-words", changes=changes)


def open_gate(server: Server, **order: object) -> None:
    order = {"is_open": True, "minutes": 5, "reason": "first install", "who": "ana", **order}
    assert server.http.put("/v1/gate", json=order).status_code == 200


def fetches(server: Server) -> list[dict[str, object]]:
    query = {"action": "gate.fetch", "limit": 200}
    return server.http.get("/v1/audit", params=query).json()["items"]


def test_a_closed_gate_is_told_and_nothing_is_asked(
    gated: Server, private: Served, proxy: Tunnels
) -> None:
    activation = gated.activate(bundle("closed", "outer\n"))
    assert activation["state"] == "failed"
    (problem,) = activation["problems"]
    assert problem["code"] == "not-in-wheelhouse" and "fumehood gate open" in problem["mend"]
    assert "the network gate is closed" in problem["what"]
    assert (private.asked, proxy.asked) == ([], [])


def test_each_fetch_is_written_down_and_no_secret_is_kept_or_shown(
    gated: Server, private: Served, proxy: Tunnels, theirs: Wheelhouse
) -> None:
    open_gate(gated)
    activation = gated.activate(bundle("spies", "outer\n"))
    assert activation["state"] == "succeeded", activation
    assert any(asked.startswith("127.0.0.1:") for asked in proxy.asked), "not through the proxy"
    written = {entry["subject"]: entry for entry in fetches(gated)}
    entries = gated.http.get("/v1/audit", params={"limit": 200}).json()["items"]
    opening = next(entry for entry in entries if entry["action"] == "gate.open")
    for name in ("inner", "outer"):
        (wheel,) = theirs.find(name)
        entry = written[wheel.filename]
        assert entry["who"].startswith("token:tests-")
        assert entry["details"] == {
            "name": name,
            "version": wheel.version,
            "sha256": wheel.sha256,
            "index": private.url,
            "reason": "first install",
            "opening": opening["seq"],
        }
    metrics = gated.http.get("/metrics").text
    assert f"\nfumehood_gate_fetches_total {len(written)}.0\n" in metrics
    listed = gated.command("audit", "list", "--action", "gate.fetch").stdout
    assert "outer-1.0-py3-none-any.whl" in listed and private.url in listed

    job = gated.ended(gated.submit("spies").json()["id"])
    assert job["state"] == "succeeded", job
    artifact = gated.http.get(f"/v1/jobs/{job['id']}/artifact").content
    who = json.loads(artifact)["install"]["gate"]["who"]
    assert who.startswith("token:tests-"), "who asked, whoever it says it is"
    seen = [artifact, json.dumps(gated.events(job["id"])).encode(), json.dumps(activation).encode()]
    seen += [path.read_bytes() for path in gated.home.rglob("*") if path.is_file()]
    seen.append(gated.home.with_name("home.log").read_bytes())
    for page in ("/v1/audit", "/v1/gate", "/", "/packages", "/v1/wheelhouse/wheels"):
        seen.append(gated.http.get(page).content)
    assert not [text for text in seen for secret in SECRETS if secret in text]


def test_an_index_that_cannot_be_trusted_or_reached_is_told_without_a_secret(
    private: Served, proxy: Tunnels
) -> None:
    wrong_login = proxy.url.replace(PROXY_LOGIN[1], "wr0ng")
    for change in ({"index__ca_bundle": ""}, {"index__proxy": wrong_login}):
        settings = {
            "index__url": private.url,
            "index__username": LOGIN[0],
            "index__password": LOGIN[1],
            "index__proxy": proxy.url,
            **change,
        }
        with open_folder() as world, running(world / "home", **settings) as server:
            open_gate(server)
            activation = server.activate(bundle("unreachable", "outer\n"))
        codes = [problem["code"] for problem in activation["problems"]]
        assert codes == ["index-unreachable"], activation
        assert not [secret for secret in SECRETS if secret in json.dumps(activation).encode()]
        assert "wr0ng" not in json.dumps(activation)


def test_a_gate_that_is_closed_by_hand_lets_nothing_further_through(theirs: Wheelhouse) -> None:
    started: list[Server] = []
    asked: list[str] = []

    def close(path: str) -> None:
        if path.endswith(".whl") and started:
            asked.append(path)
            if len(asked) == 8:  # four at a time: some are here, some on their way, some not begun
                started[0].http.put("/v1/gate", json={"is_open": False, "who": "ben"})

    with (
        index_of(theirs, before=close) as served,
        open_folder() as world,
        running(world / "home", index__url=served.url) as server,
    ):
        open_gate(server)
        started.append(server)
        wanted = "".join(f"many{number}\n" for number in range(12))
        activation = server.activate(bundle("hurried", wanted))
        codes = {problem["code"] for problem in activation["problems"]}
        assert codes == {"gate-closed"}, activation
        kept = {wheel.filename for wheel in Wheelhouse(server.home / "wheelhouse").wheels()}
        assert 0 < len(kept) < 12
        assert {entry["subject"] for entry in fetches(server)} == kept


@pytest.mark.parametrize("has_lock", [False, True], ids=["resolve", "author's lock"])
def test_a_gate_that_is_closed_by_hand_cuts_what_is_asking_the_index(
    theirs: Wheelhouse,
    has_lock: bool,  # noqa: FBT001
) -> None:
    started: list[Server] = []
    ended = threading.Event()

    def close_and_keep_waiting(path: str) -> None:
        if started and path.startswith("/simple/many0"):
            started[0].http.put("/v1/gate", json={"is_open": False, "who": "ben"})
            ended.wait(timeout=60)

    (wheel,) = theirs.find("many0")
    lock = (
        'lock-version = "1.0"\ncreated-by = "an author"\n\n[[packages]]\nname = "many0"\n'
        f'version = "1.0"\nwheels = [{{ path = "{wheel.filename}", '
        f'hashes = {{ sha256 = "{wheel.hex_digest}" }} }}]\n'
    )
    changes = {
        "manifest.json": json.dumps({"schema": 1, "name": "cut", "version": "1.0"}),
        "requirements.txt": "many0\n",
        **({"pylock.toml": lock} if has_lock else {}),
    }
    with (
        index_of(theirs, before=close_and_keep_waiting) as served,
        open_folder() as world,
        running(world / "home", index__url=served.url) as server,
    ):
        open_gate(server)
        started.append(server)
        try:
            activation = server.activate(zipped("counts-words", changes=changes))
        finally:
            ended.set()
        (problem,) = activation["problems"]
        assert problem["code"] == "gate-closed" and "uv was stopped" in problem["what"]
        assert list(Wheelhouse(server.home / "wheelhouse").wheels()) == []
        assert fetches(server) == []


def test_an_authors_lock_chooses_wheels_and_never_where_they_come_from(
    theirs: Wheelhouse, tmp_path: Path
) -> None:
    (inner,) = theirs.find("inner")
    with (
        index_of(theirs) as ours,
        index_of(theirs) as elsewhere,
        open_folder() as world,
        running(world / "home", index__url=ours.url) as server,
    ):
        address = elsewhere.url.replace("/simple/", f"/files/{inner.hex_digest}/{inner.filename}")
        lock = (
            'lock-version = "1.0"\ncreated-by = "an author"\n\n[[packages]]\nname = "inner"\n'
            f'version = "2.0"\nwheels = [{{ url = "{address}", '
            f'hashes = {{ sha256 = "{inner.hex_digest}" }} }}]\n'
        )
        open_gate(server)
        changes = {
            "manifest.json": json.dumps({"schema": 1, "name": "locked", "version": "1.0"}),
            "requirements.txt": "inner\n",
            "pylock.toml": lock,
        }
        activation = server.activate(zipped("counts-words", changes=changes))
        assert activation["state"] == "succeeded", activation
        assert elsewhere.asked == []
        (entry,) = fetches(server)
        assert entry["details"]["index"] == ours.url  # type: ignore[index]
        changes["pylock.toml"] = lock.replace(inner.hex_digest, "0" * 64)
        changes["manifest.json"] = changes["manifest.json"].replace("1.0", "2.0")
        forged = server.activate(zipped("counts-words", changes=changes))
        assert [problem["code"] for problem in forged["problems"]] == ["hash-mismatch"]
        assert elsewhere.asked == []
