"""Properties are judged by what they say, not by how fast a loaded machine finds examples."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.nodeid import NodeId
from hypothesis import HealthCheck, settings
from support.preloaded.starting import fork_server

import packages.archive
import wheelhouse.advisories.advisories
import wheelhouse.store
from wheelhouse.judges.pool import Judges

if settings.get_current_profile_name() != "ci":  # that one is unhurried already
    settings.register_profile(
        "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("unhurried")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let one process of pytest-xdist run all tests that have something in common.

    Otherwise each makes what a module has in common (a cluster, an installation) for itself.
    """
    if not config.getoption("loadgroup", default=False):
        return  # not a process of pytest-xdist
    for item in items:
        group = [mark.args[0] for mark in item.iter_markers("xdist_group")]
        if not group and shares_with_its_module(item):
            group = [item.nodeid.partition("::")[0]]
        if group:
            # pytest-xdist 3.8 itself sets what pytest 9.2 reads no more, and groups nothing.
            item._id = NodeId.parse(f"{item.nodeid}@{group[0]}")  # pyright: ignore


def shares_with_its_module(item: pytest.Item) -> bool:
    """Return whether it has a fixture of ours that is made once for its module."""
    known = item._fixtureinfo.name2fixturedefs.values()  # pyright: ignore
    return any(one.scope == "module" and one.baseid for each in known for one in each)


LOOP_WATCH = Path(__file__).parent / "support/loop_watch"


@pytest.fixture(scope="session", autouse=True)
def watched_loops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which each server that tests start notes who held its event loop."""
    folder = tmp_path_factory.mktemp("loops")
    folder.chmod(0o777)
    path = os.pathsep.join(filter(None, [str(LOOP_WATCH), os.environ.get("PYTHONPATH", "")]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        patch.setenv("LOOP_WATCH_FOLDER", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def nothing_holds_an_event_loop(watched_loops: Path) -> Iterator[None]:
    """Fail the test in which a server's loop was held for more than 50 ms of its CPU time.

    With what noise adds, and more on a slower machine: see loop_watch.
    """
    yield
    held = [(note, note.read_text()) for note in watched_loops.iterdir()]
    for note, _ in held:
        note.unlink()
    assert not held, "held the event loop: " + "".join(text for _, text in held)


@pytest.fixture(scope="session", autouse=True)
def preloaded(watched_loops: Path) -> Iterator[None]:
    """End the process that forks appliances and commands, if a test wanted one."""
    yield
    if fork_server.cache_info().currsize:
        fork_server().close()


@pytest.fixture(scope="session", autouse=True)
def judges() -> Iterator[Judges]:
    """The judges of the session: a house or bundles that are given none share them.

    Otherwise each of the hundreds that tests open would start an interpreter of its own.
    """
    with Judges() as shared, pytest.MonkeyPatch.context() as patch:
        for module in (wheelhouse.store, wheelhouse.advisories.advisories, packages.archive):
            patch.setattr(module, "Judges", lambda: shared)
        yield shared
