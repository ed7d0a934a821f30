"""Processes that would work past each other are refused at start, with what differs."""

import json
import time
from pathlib import Path

import pytest

from runtime.store.databases.database import database_at

from ..conftest import run_command, running, start_command
from .conftest import Cluster, Places

CONFLICT, TRY_AGAIN = 6, 75


def refused(word: str, home: Path, settings: dict[str, str]) -> tuple[int, str]:
    """Return the exit code and the words of a process that should not start."""
    environ = {f"FUMEHOOD_{name.upper()}": value for name, value in settings.items()}
    port = ("--port", "0") if word == "up" else ()
    done = run_command(word, "--home", home, *port, environ=environ)
    return done.returncode, done.stderr + done.stdout


def test_an_appliance_without_the_clusters_queue_is_refused_in_its_home(cluster: Cluster) -> None:
    code, told = refused("up", cluster.server.home, {})
    assert code == CONFLICT and "Another appliance is using" in told
    socket = cluster.server.home / "fumehood.sock"
    assert socket.exists(), "the living one still answers there"
    with cluster.server.at_home() as owner:
        assert owner.get("/healthz").status_code == 200


def test_a_second_appliance_in_one_home_is_refused_though_it_has_the_same_settings(
    cluster: Cluster,
) -> None:
    code, told = refused("up", cluster.server.home, cluster.places.settings)
    assert code == CONFLICT and "Another appliance is using" in told


def test_a_worker_in_the_home_has_the_settings_of_the_appliance(cluster: Cluster) -> None:
    mine = cluster.places.settings | {"docket_name": "another"}
    code, told = refused("worker", cluster.server.home, mine)
    assert code == CONFLICT and "docket_name is another here and fumehood there" in told


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"docket_name": "another"}, "docket_name is another here and fumehood there"),
        ({"blobs_url": ""}, "blobs_url is the home"),
        ({"blobs_url": "s3://bucket/other"}, "blobs_url is s3://bucket/other here"),
    ],
)
def test_who_uses_the_clusters_database_uses_its_other_places_too(
    cluster: Cluster, tmp_path: Path, change: dict[str, str], word: str
) -> None:
    code, told = refused("worker", tmp_path / "home", cluster.places.settings | change)
    assert code == CONFLICT and word in told, told


def test_an_appliance_with_its_queue_inside_is_refused_on_the_clusters_database(
    cluster: Cluster, tmp_path: Path
) -> None:
    mine = {"database_url": cluster.places.database_url, "blobs_url": "s3://bucket/cluster"}
    code, told = refused("up", tmp_path / "home", mine)
    assert code == CONFLICT and "docket_url is memory://" in told, told
    workers = cluster.server.http.get("/v1/workers").json()["items"]
    assert len(workers) == 2, "nobody was forgotten"


def test_a_second_machine_that_would_serve_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    code, told = refused("up", tmp_path / "home", cluster.places.settings)
    assert code == CONFLICT and "serves this database from another home" in told, told


def test_of_two_that_start_together_and_differ_one_is_refused(
    others: Places, tmp_path: Path
) -> None:
    database_at(others.database_url, home=tmp_path).migrate()  # an appliance was here once
    environs = [
        {f"FUMEHOOD_{k.upper()}": v for k, v in (others.settings | {"docket_name": n}).items()}
        for n in ("one", "two")
    ]
    workers = [
        start_command("worker", "--home", tmp_path / str(n), environ=environ)
        for n, environ in enumerate(environs)
    ]
    try:
        found: list[str] = []
        while not found:
            time.sleep(0.02)
            found = [one.communicate()[1] for one in workers if one.poll() is not None]
        assert "docket_name is" in found[0]
    finally:
        for one in workers:
            one.terminate()
    assert [one.wait(60) for one in workers].count(CONFLICT) == 1


def test_once_nobody_is_there_a_home_may_be_used_in_another_way(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home):
        pass
    named = json.loads((home / "cluster.json").read_text())
    with running(home, docket_name="another") as server:
        assert server.http.get("/healthz").status_code == 200
    assert json.loads((home / "cluster.json").read_text()) == named | {"docket_name": "another"}


def test_a_worker_that_is_newer_than_the_tables_leaves_them_alone(
    others: Places, tmp_path: Path
) -> None:
    with running(tmp_path / "home", **others.settings) as server:
        others.postgres.sql(others.database_url, "UPDATE alembic_version SET version_num = '0001'")
        code, told = refused("worker", tmp_path / "elsewhere", others.settings)
        assert code == TRY_AGAIN and "store-older" in told and "fumehood up" in told, told
        seen = others.postgres.sql(others.database_url, "SELECT version_num FROM alembic_version")
        assert "0001" in seen
        assert server.http.get("/readyz").status_code == 200


def test_a_worker_makes_no_tables(others: Places, tmp_path: Path) -> None:
    code, told = refused("worker", tmp_path / "elsewhere", others.settings)
    assert code == TRY_AGAIN and "no tables of ours yet" in told, told


@pytest.mark.parametrize("word", ["worker", "up"])
def test_who_is_older_than_the_tables_is_refused_by_name(
    others: Places, tmp_path: Path, word: str
) -> None:
    """As in a rolling update, where somebody starts a machine that was left out."""
    with running(tmp_path / "home", **others.settings) as server:
        assert server.http.get("/healthz").status_code == 200
        others.postgres.sql(others.database_url, "UPDATE alembic_version SET version_num = '9999'")
        code, told = refused(word, tmp_path / "elsewhere", others.settings)
        assert code == CONFLICT and "store-newer" in told and "migration 9999" in told, told
        assert server.http.get("/readyz").status_code == 200, "who works already goes on"
