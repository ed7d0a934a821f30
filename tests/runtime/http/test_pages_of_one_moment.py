"""A page shows a job as it was at one moment, so that what it follows from there is all that comes."""

import re

import pytest

from ..conftest import Server, zipped


@pytest.mark.parametrize("rounds", [25])
def test_a_page_that_follows_a_job_has_not_shown_its_end_yet(server: Server, rounds: int) -> None:
    server.activate(zipped("counts-words"))
    for _ in range(rounds):
        job_id = server.submit("counts-words").json()["id"]
        pages: list[tuple[int, bool]] = []
        while not pages or pages[-1][1]:
            text = server.http.get(f"/jobs/{job_id}", headers={"Accept": "text/html"}).text
            tag = re.search(r'data-after="(\d+)"[^>]*>', text)
            assert tag is not None
            pages.append((int(tag[1]), "data-follow" in tag[0]))
        last = max(event["seq"] for event in server.events(job_id))
        assert all(after < last for after, follows in pages if follows), pages
        assert pages[-1] == (last, False)
