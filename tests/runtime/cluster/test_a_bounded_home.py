"""A worker's home is a cache: what was used longest ago goes, what is in use never."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.bundles import bundle_files, manifest, zipped

from packages.archive import Bundles
from packages.environment.building import Builder
from packages.environment.environment import Environments
from runtime.activations.home_cache import HomeCache
from runtime.activations.in_use import MOST_WARM, InUse
from runtime.values.records import Activation, ActivationState
from wheelhouse.store import Wheelhouse

from ..conftest import NOON, Server, prepared, running
from .conftest import places, working

SIZE = 300_000
HOOK = f"""
from pathlib import Path
def run(*, context, **_):
    (Path(context.output_dir) / "big.bin").write_bytes(bytes({SIZE}))
"""
LONG_AGO = time.time() - 86_400


def activated(server: Server, name: str) -> str:
    """Activate a version with a bundle of some size, and as much data."""
    files = {
        "manifest.json": manifest(name=name),
        "blob.bin": os.urandom(SIZE),
        "hooks/on_activate.py": HOOK,
    }
    activation = server.activate(zipped(bundle_files(files)).read())
    assert activation["state"] == "succeeded", activation
    return name


def long_unused(home: Path) -> None:
    """Make all that is in a home as old as if nobody had used it for a day."""
    for place in ("bundles", "data", "environments/.leases"):
        for path in (home / place).iterdir():
            os.utime(path, (LONG_AGO, LONG_AGO))


def kept_in(home: Path) -> dict[str, int]:
    """Return how many bundles and folders of data are in a home."""
    return {name: len(list((home / name).iterdir())) for name in ("bundles", "data")}


def test_what_was_used_longest_ago_goes_and_comes_again_when_it_is_wanted(tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    with places() as shared, running(tmp_path / "home", **shared.settings) as server:
        names = [activated(server, f"version-{number}") for number in range(4)]
        (own,) = server.http.get("/v1/workers").json()["items"]
        assert server.http.post(f"/v1/workers/{own['id']}/drain").status_code == 200

        def run(name: str) -> str:
            return server.ended(server.submit(name).json()["id"])["state"]

        with working(home, shared.settings):
            assert [run(name) for name in names[:3]] == ["succeeded"] * 3
        assert kept_in(home) == {"bundles": 3, "data": 3}
        long_unused(home)
        with working(home, shared.settings | {"worker_cache_mb": "1"}) as worker:
            assert run(names[3]) == "succeeded"
            assert kept_in(home) == {"bundles": 1, "data": 1}, worker.log
            assert "the home of this worker is full" in worker.log
            assert run(names[0]) == "succeeded", "it comes again"
        assert kept_in(tmp_path / "home") == {"bundles": 4, "data": 4}, "all is there that serves"


def cache_of(folder: Path, *, in_use: InUse) -> HomeCache:
    async def nowhere(*_: object, **__: object) -> object:
        raise AssertionError("nothing is built here")

    house = Wheelhouse(folder / "wheelhouse")
    builder = Builder(wheelhouse=house, run=nowhere, clock=lambda: NOON)  # pyright: ignore
    return HomeCache(
        bundles=Bundles(folder / "bundles"),
        wheelhouse=house,
        environments=Environments(root=folder / "environments", builder=builder),
        data_root=folder / "data",
        in_use=in_use,
        most_bytes=0,
    )


def old_version(folder: Path, number: int) -> Activation:
    """Put a version of long ago into a home; return its activation."""
    digest, data = f"{number:064x}", f"data-{number}"
    for place in (folder / "bundles" / digest, folder / "data" / data):
        place.mkdir(parents=True)
        (place / "bytes").write_bytes(os.urandom(5000))
        os.utime(place, (LONG_AGO, LONG_AGO))
    return Activation(
        id=f"activation-{number}",
        package="p",
        version=f"{number}",
        digest=f"sha256:{digest}",
        state=ActivationState.SUCCEEDED,
        who="ana",
        reason="",
        requested_at=NOON,
        prepared=replace(prepared(), data_folder=data),
    )


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "not running"])
def test_what_runs_never_goes_however_long_ago_it_began(
    tmp_path: Path, *, is_running: bool
) -> None:
    one, *others = [old_version(tmp_path, number) for number in range(2 + MOST_WARM)]
    in_use = InUse(clock=lambda: LONG_AGO)
    cache = cache_of(tmp_path, in_use=in_use)
    with in_use.running(one):
        for other in others[1:]:  # those that ran last may be warm, and the first is none of them
            with in_use.running(other):
                pass
        if is_running:
            cache.trim()
    if not is_running:
        for other in others[1:]:
            with in_use.running(other):
                pass
        cache.trim()
    left = {path.name for path in (tmp_path / "bundles").iterdir()}
    expected = {other.digest for other in others[1:]} | ({one.digest} if is_running else set())
    assert {f"sha256:{name}" for name in left} == expected
    assert len(list((tmp_path / "data").iterdir())) == len(expected)
