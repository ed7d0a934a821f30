"""The commands of docs/jobs.md, each shown against a served appliance."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers import serving

from ..runtime.conftest import Server, running, zipped

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "jobs.md").read_text()
ASKS = """
def extract(*, job, **_):
    return job.ask("currency", "Which one?", {"enum": ["EUR", "USD"]})
"""


type Served = tuple[Server, str]
"""A server, and where somebody takes what webhooks tell."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with serving(answer) as port:
        settings = {
            "webhooks__hosts": "localhost",
            "webhooks__ports": str(port),
            "webhooks__private": "127.0.0.0/8 ::1/128",
        }
        home = tmp_path_factory.mktemp("around") / "home"
        with running(home, **settings) as server:
            for name, changes in (
                ("hello", {}),
                ("asks", {"extract.py": ASKS}),
                ("fails", {"extract.py": "def extract(*, job, **_): raise ValueError('no')\n"}),
            ):
                manifest = json.dumps({"schema": 1, "name": name, "version": "1.0"})
                bundle = zipped("counts-words", changes={"manifest.json": manifest, **changes})
                assert server.activate(bundle)["state"] == "succeeded"
            yield server, f"http://localhost:{port}/"


def said(served: Served, *words: str | Path, code: int = 0) -> str:
    """Run a command; return what it printed."""
    server, _ = served
    done = server.command(*words)
    assert done.returncode == code, (words, done.stderr)
    return done.stdout.strip()


def test_the_table_has_a_row_for_each_of_fourteen() -> None:
    rows = re.findall(r"^\| (\d+) \| [^|]+ \|(.*)\|$", PAGE, flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 15))
    assert all("`fumehood " in shown for _, shown in rows)


def test_1_the_same_order_is_the_same_job(served: Served) -> None:
    ids = {said(served, "job", "submit", "hello", "--key", "K") for _ in range(2)}
    assert len(ids) == 1


def test_8_many_at_once(served: Served, tmp_path: Path) -> None:
    orders = tmp_path / "orders.ndjson"
    orders.write_text((json.dumps({"package": "fails", "labels": {"lot": "8"}}) + "\n") * 3)
    made = said(served, "job", "submit-many", orders).splitlines()
    for job_id in made:
        said(served, "job", "logs", "-f", job_id, code=1)
    why = ("--reason", "the disk was full", "--wait", "--json")
    told = json.loads(said(served, "bulk", "retry", "--state", "failed", "-l", "lot=8", *why))
    assert (told["state"], told["done"]) == ("done", 3)


def test_9_batches(served: Served) -> None:
    said(served, "batch", "create", "nightly")
    for _ in range(2):
        said(served, "job", "submit", "hello", "--batch", "nightly")
    told = json.loads(said(served, "batch", "show", "nightly", "--wait", "--json"))
    assert told["jobs"] == {"succeeded": 2}


def test_10_questions(served: Served) -> None:
    server, _ = served
    job_id = said(served, "job", "submit", "asks")
    server.until(f"/v1/jobs/{job_id}", lambda job: job["state"] == "waiting")
    assert "Which one?" in said(served, "job", "prompt", job_id)
    assert "EUR" in said(served, "job", "answer", job_id, "EUR", "--wait")


def test_11_labels_lists_and_search(served: Served) -> None:
    label = ("--label", "customer=acme")
    job_id = said(served, "job", "submit", "fails", *label)
    said(served, "job", "logs", "-f", job_id, code=1)
    listed = said(served, "job", "list", *label, "--state", "failed", "--since", "7d", "--json")
    assert [one["id"] for one in json.loads(listed)] == [job_id]


def test_12_telling_others(served: Served) -> None:
    server, url = served
    said(served, "webhook", "add", url)
    job_id = said(served, "job", "submit", "hello", "--wait", "--json")
    job_id = json.loads(job_id)["id"]
    server.until(
        f"/v1/deliveries?job={job_id}",
        lambda page: page["items"] and page["items"][0]["state"] == "delivered",
    )
    assert job_id in said(served, "webhook", "deliveries")


def test_13_retention(served: Served) -> None:
    assert "went so far" in said(served, "retention")
    job_id = json.loads(said(served, "job", "submit", "hello", "--wait", "--json"))["id"]
    said(served, "job", "pin", job_id)
    said(served, "job", "delete", job_id, "--reason", "they asked for it", code=6)
    said(served, "job", "unpin", job_id)
    said(served, "job", "delete", job_id, "--reason", "they asked for it")
    said(served, "job", "show", job_id, code=4)


def test_14_waiting_for_a_result(served: Served, tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("one two")
    assert "succeeded" in said(served, "run", "hello", text, "-o", tmp_path / "out")
    assert json.loads((tmp_path / "out/tables/counts.json").read_text()) == {"a.txt": 2}
    said(served, "job", "submit", "hello", "--wait", "--timeout", "30s")
    said(served, "run", "fails", code=1)
