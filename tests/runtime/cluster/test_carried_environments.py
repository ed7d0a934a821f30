"""An environment that was built once comes to a worker by the bucket, and as it was built only."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from support.bundles import bundle_files, manifest, zipped
from support.wheels import make_wheel

from runtime.blobs.objects import Objects

from ..conftest import Server
from .conftest import Cluster, working

IMPORTS = """
def extract(*, job, **_):
    import greeting
    return greeting.NAME
"""


@pytest.fixture
def bucket(cluster: Cluster) -> Objects:
    assert cluster.server
    return Objects("s3://bucket/cluster")


def activated(server: Server, folder: Path, *, name: str) -> str:
    """Activate a version with an environment of its own; return what its job returns."""
    wheel = make_wheel(
        folder, name, files={"greeting.py": f"NAME = {name!r}\n".encode(), "more.txt": b"more"}
    )
    path = f"/v1/wheelhouse/wheels?filename={wheel.name}"
    assert server.http.post(path, content=wheel.read_bytes()).status_code in (200, 201)
    files = {
        "manifest.json": manifest(name=f"imports-{name}"),
        "extract.py": IMPORTS,
        "requirements.txt": f"{name}==1.0\n",
    }
    activation = server.activate(zipped(bundle_files(files)).read())
    assert activation["state"] == "succeeded", activation
    return f"imports-{name}"


def result_elsewhere(cluster: Cluster, package: str) -> str:
    """Return what a job returns that the worker elsewhere ran."""
    with cluster.all_work_elsewhere():
        job = cluster.server.submit(package).json()["id"]
        ended = cluster.server.ended(job)
    assert ended["state"] == "succeeded", ended
    assert ended["worker"] == cluster.worker_id(of=cluster.worker)
    return cluster.server.http.get(f"/v1/jobs/{job}/artifact").json()["result"]


def wheels_elsewhere(cluster: Cluster, name: str) -> list[Path]:
    return list((cluster.worker.home / "wheelhouse").rglob(f"{name}-1.0-*.whl"))


def carried(bucket: Objects) -> set[str]:
    return set(asyncio.run(bucket.names("environments/")))


def test_a_worker_without_an_environment_takes_the_one_that_was_built(
    cluster: Cluster, bucket: Objects, tmp_path: Path
) -> None:
    package = activated(cluster.server, tmp_path, name="carried")
    assert result_elsewhere(cluster, package) == "carried"
    assert wheels_elsewhere(cluster, "carried") == [], "it needs no wheel"
    assert len(carried(bucket)) == 1


def other_bytes(packed: Path) -> None:
    packed.write_bytes(packed.read_bytes().replace(b"NAME = ", b"EVIL = "))


def cut_short(packed: Path) -> None:
    packed.write_bytes(packed.read_bytes()[:2000])


def gone(packed: Path) -> None:
    packed.unlink()


@pytest.mark.parametrize("change", [other_bytes, cut_short, gone])
def test_what_was_changed_in_the_bucket_is_told_and_built_from_its_wheels(
    cluster: Cluster, bucket: Objects, tmp_path: Path, *, change: Callable[[Path], None]
) -> None:
    before = carried(bucket)
    name = change.__name__.replace("_", "")
    package = activated(cluster.server, tmp_path, name=name)
    (new,) = carried(bucket) - before
    packed = tmp_path / "packed"
    asyncio.run(bucket.fetch(f"environments/{new}", into=packed, sha256=f"sha256:{new}"))
    change(packed)
    if packed.exists():
        asyncio.run(bucket.put(f"environments/{new}", packed))
    else:
        asyncio.run(bucket.remove(f"environments/{new}"))
    assert [result_elsewhere(cluster, package) for _ in range(2)] == [name, name]
    assert wheels_elsewhere(cluster, name)
    told = [line for line in cluster.worker.log.splitlines() if new in line and "wheels" in line]
    assert len(told) == 1, "named once"


def test_where_it_is_switched_off_none_is_carried(
    cluster: Cluster, bucket: Objects, tmp_path: Path
) -> None:
    package = activated(cluster.server, tmp_path, name="byhand")
    settings = cluster.places.settings | {"carry_environments": "false", "labels": "other"}
    with working(tmp_path / "without", settings) as without:
        place = f"/v1/workers/{cluster.worker_id(of=cluster.worker)}"
        assert cluster.server.http.post(f"{place}/drain").status_code == 200
        with cluster.all_work_elsewhere():
            job = cluster.server.submit(package).json()["id"]
            ended = cluster.server.ended(job)
        assert cluster.server.http.post(f"{place}/resume").status_code == 200
        assert ended["worker"] == cluster.worker_id(of=without)
    assert list((tmp_path / "without" / "wheelhouse").rglob("byhand-1.0-*.whl"))
