"""Lists of jobs over HTTP and on the command line: labels, filters, presets."""

import json

import pytest

from ..conftest import Server


def order(server: Server, **around: object) -> str:
    answer = server.http.post("/v1/jobs", json={"package": "counts-words", **around})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def found(server: Server, **asked: object) -> list[str]:
    answer = server.http.get("/v1/jobs", params=asked)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


def test_a_job_is_found_by_its_labels(counting: Server) -> None:
    acme = order(counting, labels={"customer": "acme", "urgent": ""})
    other = order(counting, labels={"customer": "other"})
    assert counting.ended(acme)["labels"] == {"customer": "acme", "urgent": ""}
    assert found(counting, label="customer=acme") == [acme]
    assert found(counting, label=["customer", "urgent"]) == [acme]
    assert found(counting, label="customer", package="counts-words") == [other, acme]
    assert found(counting, text=acme[9:]) == [acme]
    page = counting.http.get("/", params={"label": "customer=acme"}).text
    assert acme in page and other not in page and "customer=acme" in page
    listed = counting.command("job", "list", "-l", "customer=other", "--since", "1d", "--json")
    assert [one["id"] for one in json.loads(listed.stdout)] == [other]


@pytest.mark.parametrize(
    ("labels", "faults"),
    [
        ({"Bad Name": "x"}, 1),
        ({"a": "x" * 256, "b": "a\nb"}, 2),
        ({f"n{i}": "" for i in range(33)}, 1),
    ],
)
def test_labels_that_cannot_be_are_refused_with_their_place(
    counting: Server, labels: dict[str, str], faults: int
) -> None:
    answer = counting.http.post("/v1/jobs", json={"package": "counts-words", "labels": labels})
    assert (answer.status_code, answer.json()["code"]) == (422, "input-refused")
    problems = answer.json()["problems"]
    assert len(problems) == faults and all("labels" in one["where"] for one in problems)


def test_a_filter_that_no_job_can_meet_is_refused(counting: Server) -> None:
    span = {"since": "2026-11-29T12:00:00Z", "until": "2026-11-29T12:00:00Z"}
    answer = counting.http.get("/v1/jobs", params={**span, "label": "Bad Name=x"})
    assert answer.status_code == 422
    assert [one["code"] for one in answer.json()["problems"]] == ["empty-span", "label-name"]


def test_a_preset_is_a_filter_under_a_name_of_ones_own(counting: Server) -> None:
    mine = order(counting, labels={"preset": "yes"})
    saved = counting.command("preset", "save", "wanted", "-l", "preset=yes", "--json")
    assert saved.returncode == 0, saved.stderr
    assert found(counting, preset="wanted") == [mine]
    assert found(counting, preset="wanted", package="other") == []
    assert "preset=yes" in counting.command("preset", "list").stdout
    with counting.as_(counting.token_for("client")) as other:
        assert other.get("/v1/jobs", params={"preset": "wanted"}).status_code == 404
        assert other.get("/v1/presets").json()["items"] == []
    assert counting.command("preset", "remove", "wanted").returncode == 0
    assert counting.command("job", "list", "--preset", "wanted").returncode == 4
