"""Batches: jobs under a name, counted together, cancelled as a whole, ended once."""

import json

from hypothesis import given
from hypothesis import strategies as st

from runtime.values.around.batches import Batch, Standing, progress, standing
from runtime.values.states import FINAL, State

from ..conftest import NOON, Server, zipped


def begin(server: Server, name: str) -> str:
    made = server.command("batch", "create", name, "--note", "a test")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def join(server: Server, batch: str, package: str = "counts-words") -> str:
    answer = server.http.post("/v1/jobs", json={"package": package, "batch": batch})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def test_a_batch_counts_its_jobs_until_all_have_ended(counting: Server) -> None:
    batch = begin(counting, "count-them")
    jobs = [join(counting, "count-them") for _ in range(3)]
    assert counting.http.get(f"/v1/jobs/{jobs[0]}").json()["batch"] == batch
    listed = counting.http.get("/v1/jobs", params={"batch": "count-them"}).json()["items"]
    assert {one["id"] for one in listed} == set(jobs)
    shown = counting.command("batch", "show", "count-them", "--wait", "--json")
    told = json.loads(shown.stdout)
    assert (shown.returncode, told["done"], told["total"]) == (0, 3, 3)
    assert told["standing"] == "open", "more may come"
    sealed = counting.command("batch", "seal", "count-them")
    assert "ended" in sealed.stdout
    counting.until(f"/v1/batches/{batch}", lambda one: one["ended_at"])
    late = counting.http.post("/v1/jobs", json={"package": "counts-words", "batch": "count-them"})
    assert late.status_code == 409


def test_a_batch_is_cancelled_as_a_whole(server: Server) -> None:
    server.activate(zipped("extract-hangs"))
    batch = begin(server, "cancel-them")
    jobs = [join(server, "cancel-them", "extract-hangs") for _ in range(3)]
    done = server.command("batch", "cancel", "cancel-them", "--reason", "wrong documents")
    assert done.returncode == 0, done.stderr
    assert {server.ended(one)["state"] for one in jobs} == {"cancelled"}
    ended = server.until(f"/v1/batches/{batch}", lambda one: one["ended_at"])
    assert (ended["jobs"], ended["standing"]) == ({"cancelled": 3}, "ended")


def test_a_batch_is_its_owners(counting: Server) -> None:
    begin(counting, "mine")
    with counting.as_(counting.token_for("client")) as client:
        assert client.get("/v1/batches/mine").status_code == 404
        order = {"package": "counts-words", "batch": "mine"}
        assert client.post("/v1/jobs", json=order).status_code == 404
        assert client.post("/v1/batches", json={"name": "mine"}).status_code == 201
        assert client.post("/v1/batches", json={"name": "mine"}).status_code == 409
        assert [one["name"] for one in client.get("/v1/batches").json()["items"]] == ["mine"]
    ambiguous = counting.http.get("/v1/batches/mine")
    assert ambiguous.status_code == 404 and "Several owners" in ambiguous.json()["detail"]


COUNTS = st.dictionaries(st.sampled_from(State), st.integers(0, 5))


@given(COUNTS, st.booleans())
def test_where_a_batch_stands(counted: dict[State, int], is_sealed: bool) -> None:  # noqa: FBT001
    batch = Batch(id="b", owner="o", name="n", at=NOON, sealed_at=NOON if is_sealed else None)
    done, total = progress(counted)
    under_way = sum(number for state, number in counted.items() if state not in FINAL)
    assert done + under_way == total
    expected = Standing.ENDED if not under_way else Standing.SEALED
    assert standing(batch, counted=counted) is (expected if is_sealed else Standing.OPEN)
