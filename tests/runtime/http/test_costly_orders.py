"""Small requests that are costly to look at hold nobody else: the watch over the loop fails else."""

import json

from ..conftest import Server

RARE = {"cron": "0 0 30 2 1#5", "zone": "America/Sao_Paulo"}
"""Its next five ticks reach the year 2168: cronsim looks at each day until then."""


def test_a_thousand_lines_that_are_no_orders_are_told_in_sums(counting: Server) -> None:
    line = json.dumps({"package": "counts-words", **{f"f{number}": 1 for number in range(1400)}})
    body = "\n".join([line] * 900).encode()
    headers = {"Content-Type": "application/x-ndjson"}
    answer = counting.http.post("/v1/submissions", content=body, headers=headers)
    assert answer.status_code == 200
    told = [json.loads(one) for one in answer.text.splitlines()]
    assert len(told) == 900 and {one["status"] for one in told} == {422}
    assert told[0]["problem"]["problems"][0]["what"] == "1400 things are wrong with it"


def test_rare_schedules_are_listed_with_their_ticks(counting: Server) -> None:
    made = []
    for number in range(60):
        order = {"name": f"rare-{number}", "package": "counts-words", **RARE}
        answer = counting.http.post("/v1/schedules", json=order)
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["id"])
    listed = counting.http.get("/v1/schedules?limit=200").json()["items"]
    assert all(len(one["next_ticks"]) == 5 for one in listed if one["id"] in made)
    for schedule in made:
        assert counting.http.delete(f"/v1/schedules/{schedule}").status_code == 204
