"""Replaying dead letters: one, some, or all that who asks may change."""

from collections.abc import AsyncIterator

from frozen.values import frozen
from runtime.faults.errors import NotFound, QueueFull, RuntimeFault
from runtime.jobs.orders.submission import Submissions
from runtime.store.databases.store import Store
from runtime.store.jobs import dead_letters
from runtime.store.jobs import jobs as job_store
from runtime.values.access import Sight

PAGE = 100


@frozen
class Which:
    """Which dead letters: those `named`, or all of a package and a code, `most` at most."""

    named: tuple[str, ...] = ()
    package: str | None = None
    code: str | None = None
    most: int = 1000


@frozen
class Unreplayed:
    """A dead letter that could not be tried again, and why."""

    job: str
    code: str
    what: str


@frozen
class Replayed:
    """What was tried again, and what could not be."""

    replayed: tuple[str, ...]
    refused: tuple[Unreplayed, ...]


async def replay(which: Which, *, store: Store, submissions: Submissions, sight: Sight) -> Replayed:
    """Try dead letters in `sight` again, the last first; stop where the queue is full."""
    done: list[str] = []
    refused: list[Unreplayed] = []
    async for job_id in _meant(which, store=store, sight=sight):
        try:
            await _replay_one(job_id, store=store, submissions=submissions, sight=sight)
        except RuntimeFault as fault:
            refused.append(Unreplayed(job=job_id, code=fault.code, what=fault.what))
            if isinstance(fault, QueueFull):
                break
        else:
            done.append(job_id)
    return Replayed(replayed=tuple(done), refused=tuple(refused))


async def _replay_one(job_id: str, *, store: Store, submissions: Submissions, sight: Sight) -> None:
    await store.read(job_store.get, job_id=job_id, sight=sight)
    if not await store.read(dead_letters.is_there, job_id=job_id):
        raise NotFound(f"Job {job_id} is no dead letter", where=job_id)
    await submissions.retry(job_id)


async def _meant(which: Which, *, store: Store, sight: Sight) -> AsyncIterator[str]:
    """Yield the ids of those that are meant; a list that shrinks is gone through by its ids."""
    if which.named:
        for job_id in which.named:
            yield job_id
        return
    cursor, left = None, which.most
    while left > 0:
        page = await store.read(
            dead_letters.list_letters,
            limit=min(PAGE, left),
            cursor=cursor,
            package=which.package,
            code=which.code,
            sight=sight,
        )
        for letter in page.items:
            left -= 1
            yield letter.job.id
        if page.next_cursor is None:
            return
        cursor = page.next_cursor
