"""What was captured of a request reaches who runs the job whole, whichever version captured it."""

from collections.abc import Callable

from runtime.artifact.steps import REQUEST
from runtime.store.databases.store import Store
from runtime.store.jobs import jobs
from runtime.store.statements.rows import JOB, plain
from runtime.values.records import Job


def test_what_a_newer_one_captured_is_kept_and_handed_on(make_job: Callable[[], Job]) -> None:
    written = plain(make_job(), JOB)
    assert written["request"]["version"] == 1 and "further" not in written["request"]
    newer = {**written["request"], "version": 2, "tenant": {"id": "lab"}, "further": "a name too"}
    read = JOB.read(written | {"request": newer})
    assert read.request.version == 2 and read.request.further["tenant"] == {"id": "lab"}
    assert plain(read, JOB)["request"]["tenant"] == {"id": "lab"}
    handed_on = REQUEST.dump_python(read.request, mode="json")
    assert handed_on["tenant"] == {"id": "lab"} and handed_on["version"] == 2


def test_what_an_older_one_captured_is_read(make_job: Callable[[], Job]) -> None:
    written = plain(make_job(), JOB)
    older = {"principal": "token:ci", "request_id": "r"}
    read = JOB.read(written | {"request": older})
    assert (read.request.principal, read.request.scopes, read.request.version) == (
        "token:ci",
        (),
        1,
    )


async def test_the_store_keeps_it(store: Store, make_job: Callable[[], Job]) -> None:
    job = make_job()
    newer = JOB.read(plain(job, JOB) | {"request": {**plain(job, JOB)["request"], "tenant": "lab"}})
    await store.run(jobs.submit, job=newer, queue_limit=10)
    read = await store.run(jobs.get, job_id=job.id)
    assert read.request == newer.request and read.request.further == {"tenant": "lab"}
