"""Closed means closed: what is on its way when the gate closes is not kept."""

import asyncio
import hashlib
import json
import random
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from support.odd_index import lists, odd_index, says
from support.wheels import UPLOADED, make_wheel
from support.world import open_folder

from packages.errors import FetchFailed
from packages.index.index import Index
from packages.lock.fetch import Fetcher
from packages.lock.gate_watch import Closings, UnwatchedGate
from packages.lock.grant import GateState
from packages.lock.lock import Offered
from runtime.gate.opening import close_gate, open_gate, opened
from runtime.gate.steady import GateClock
from runtime.gate.watch import GateWatch
from runtime.store.access import audit
from runtime.store.databases.store import Store
from sandbox.command import Report
from wheelhouse.metadata.wheel import metadata_of
from wheelhouse.store import Wheelhouse

from ..conftest import running, zipped

ROUNDS = 100
GRANTED = GateState(is_open=True)
NAME = "slow-1.0-py3-none-any.whl"


@dataclass(frozen=True)
class Round:
    name: str
    is_kept: bool
    is_written: bool
    is_after_close: bool


async def race(store: Store, house: Wheelhouse, path: Path, *, pause_s: float) -> Round:
    """Keep a wheel and close the gate at the same moment; return what came of it."""
    name = path.name.partition("-")[0]
    at = datetime.now(UTC)
    gate = opened(until=at + timedelta(hours=1), reason="race", who="ana", packages=(), at=at)
    await store.run(open_gate, gate=gate)
    watch = GateWatch(store=store, clock=GateClock())
    wanted = Offered(name=name, version="1.0", wheel=path.name, sha256="", size_bytes=None, url="")

    async def close() -> bool:
        await asyncio.sleep(pause_s)
        await store.run(close_gate, who="ben", reason="by hand", at=datetime.now(UTC))
        return bool(house.find(name))  # nothing may come after this

    with house.staged(path, origin=UPLOADED) as staged:
        granted = await watch.gate(GRANTED)
        keeping = watch.keep(wanted, staged=staged, index="an index", granted=granted)
        was_there, _ = await asyncio.gather(close(), keeping)
    page = await store.run(audit.list_entries, limit=4, cursor=None)
    acts = [(entry.action, entry.subject) for entry in page.items]
    fetch = ("gate.fetch", path.name)
    return Round(
        name=name,
        is_kept=bool(house.find(name)),
        is_written=fetch in acts,
        is_after_close=(fetch in acts and acts.index(fetch) < acts.index(("gate.close", "gate")))
        or bool(house.find(name)) != was_there,
    )


async def test_keeping_and_closing_race_a_hundred_times(store: Store, tmp_path: Path) -> None:
    house = Wheelhouse(tmp_path / "house")
    dice = random.Random(17)
    rounds = [
        await race(
            store,
            house,
            make_wheel(tmp_path / "made", f"raced{number}"),
            pause_s=dice.choice([0, 0, 0.0001, 0.0005, 0.002]),
        )
        for number in range(ROUNDS)
    ]
    assert [one for one in rounds if one.is_after_close] == []
    assert [one for one in rounds if one.is_kept != one.is_written] == []
    kept = sum(one.is_kept for one in rounds)
    assert 0 < kept < ROUNDS, "each was first at times"


async def test_a_transaction_that_fails_keeps_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = Wheelhouse(tmp_path / "house")
    path = make_wheel(tmp_path, "demo")

    def fail(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    at = datetime.now(UTC)
    gate = opened(until=at + timedelta(hours=1), reason="race", who="ana", packages=(), at=at)
    await store.run(open_gate, gate=gate)
    monkeypatch.setattr("runtime.gate.watch.audit.append", fail)
    watch = GateWatch(store=store, clock=GateClock())
    wanted = Offered(
        name="demo", version="1.0", wheel=path.name, sha256="", size_bytes=None, url=""
    )
    with house.staged(path, origin=UPLOADED) as staged, pytest.raises(OSError, match="full"):
        await watch.keep(wanted, staged=staged, index="", granted=GRANTED)
    assert list(house.wheels()) == [] and not list((house.root / "wheels").glob("*/*"))


@pytest.mark.parametrize("rest", ["drips", "stands still", "comes at once"])
def test_a_download_that_was_begun_is_cut_and_nothing_of_it_kept(rest: str, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "made", "slow", files={"slow.py": b"#" * 4096})
    content = wheel.read_bytes()
    half_sent, is_closed, stop = threading.Event(), threading.Event(), threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:100])
        half_sent.set()
        is_closed.wait(60)
        if rest == "comes at once":
            handler.wfile.write(content[100:])
        while rest == "drips" and not stop.wait(0.05):
            handler.wfile.write(content[100:101])
        stop.wait(60)

    routes = {
        "/simple/slow/": says(lists((f"/f/{NAME}", wheel), more=" data-core-metadata=true")),
        f"/f/{NAME}.metadata": says(metadata_of(wheel)),
        f"/f/{NAME}": slow,
    }
    changes = {
        "manifest.json": json.dumps({"schema": 1, "name": "slowly", "version": "1.0"}),
        "requirements.txt": "slow\n",
    }
    with (
        odd_index(routes) as odd,
        open_folder() as world,
        running(world / "home", index__url=odd.url) as server,
    ):
        order = {"is_open": True, "minutes": 5, "reason": "first install", "who": "ana"}
        assert server.http.put("/v1/gate", json=order).status_code == 200

        def close() -> None:
            half_sent.wait(60)
            server.http.put("/v1/gate", json={"is_open": False, "who": "ben"})
            is_closed.set()

        closing = threading.Thread(target=close)
        closing.start()
        try:
            activation = server.activate(zipped("counts-words", changes=changes))
        finally:
            closing.join()
            stop.set()
        assert [problem["code"] for problem in activation["problems"]] == ["gate-closed"]
        house = Wheelhouse(server.home / "wheelhouse")
        assert list(house.wheels()) == [] and not list(house.root.glob(".fetch-*"))
        acts = server.http.get("/v1/audit", params={"limit": 50}).json()["items"]
        assert "gate.fetch" not in [entry["action"] for entry in acts]


class Unheard(Closings):
    """Closings that wake nobody: what is left is to ask."""

    def note(self) -> None:
        self.count += 1


async def test_each_read_asks_whether_the_gate_is_open(tmp_path: Path) -> None:
    """The gate closes between two reads, and the rest of the wheel has come already."""
    noise = random.Random(8).randbytes(6 << 20)
    wheel = make_wheel(tmp_path / "made", "large", files={"large.py": noise})
    keeper, done = UnwatchedGate(), list[Report]()
    keeper.closings = Unheard()

    def observe(report: Report) -> None:
        done.append(report)
        keeper.closings.note()

    house = Wheelhouse(tmp_path / "house")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with odd_index({"/f": says(wheel.read_bytes())}) as odd:
        wanted = Offered(
            name="large",
            version="1.0",
            wheel=wheel.name,
            sha256=f"sha256:{digest}",
            size_bytes=wheel.stat().st_size,
            url=odd.at("/f"),
        )
        index, clock = Index(url=odd.url), lambda: datetime.now(UTC)
        fetcher = Fetcher(wheelhouse=house, index=index, clock=clock, watcher=keeper)
        with pytest.raises(FetchFailed) as failed:
            await fetcher.fetch([wanted], gate=GRANTED, observe=observe)
    assert [problem.code for problem in failed.value.problems] == ["gate-closed"]
    assert len(done) == 1 and list(house.wheels()) == []
