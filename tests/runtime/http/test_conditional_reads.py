"""Who has what it asks for is told so, and nothing is sent again."""

import pytest

from ..conftest import Server


@pytest.mark.parametrize(
    "path",
    [
        "/v1/packages",
        "/v1/packages/counts-words",
        "/v1/packages/counts-words/versions/1.0",
        "/v1/packages/counts-words/versions/1.0/lock",
        "/v1/packages/counts-words/versions/1.0/sbom",
        "/v1/gate",
        "/v1/schemas/manifest",
        "/simple/",
        "/openapi.json",
    ],
)
def test_what_is_as_it_was_is_not_sent_again(counting: Server, path: str) -> None:
    first = counting.http.get(path)
    tag = first.headers["etag"]
    for said in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = counting.http.get(path, headers={"If-None-Match": said})
        assert (again.status_code, again.content) == (304, b""), said
        assert again.headers["etag"] == tag and "content-length" not in again.headers
        assert again.headers["x-request-id"]
    other = counting.http.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)
    assert counting.http.head(path).headers["etag"] == tag


def test_an_artifact_and_an_output_have_tags(counting: Server) -> None:
    job = counting.submit("counts-words", files={"a.txt": b"one two"}).json()["id"]
    counting.ended(job)
    path = counting.http.get(f"/v1/jobs/{job}/outputs").json()["items"][0]["path"]
    for place in (f"/v1/jobs/{job}/artifact", f"/v1/jobs/{job}/outputs/{path}"):
        tag = counting.http.get(place).headers["etag"]
        again = counting.http.get(place, headers={"If-None-Match": f'"x", {tag}'})
        assert (again.status_code, again.content) == (304, b"")


def test_a_page_and_a_change_have_none(counting: Server) -> None:
    assert "etag" not in counting.http.get("/packages").headers
    assert "etag" not in counting.http.post("/v1/login-links").headers
    assert "etag" not in counting.http.get("/v1/jobs/nobody").headers
