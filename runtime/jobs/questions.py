"""Questions of jobs: answered by whoever may, or by nobody when their time is over."""

from functools import partial

from frozen.values import frozen
from packages.bundle.orders import ANSWER
from runtime.faults.errors import InputRefused, NotFound, StateConflict
from runtime.queue.dispatch import Dispatch
from runtime.queue.notifier import Notifier, ended
from runtime.store.databases.store import Store
from runtime.store.jobs import questions
from runtime.values.around.questions import NOBODY, Answer, Asked
from runtime.values.clock import Clock
from runtime.values.records import Job
from sandbox.command import Json
from wheelhouse.judges.pool import Judges

QUESTION_NEWS = "questions"
AT_A_TIME = 50


@frozen
class Questions:
    """Takes answers, and closes what nobody answered."""

    store: Store
    dispatch: Dispatch
    notifier: Notifier
    judges: Judges
    clock: Clock

    async def answer(self, job_id: str, *, key: str, value: Json, who: str) -> Job:
        """Answer a job's open question: it runs again with that at hand.

        Raises NotFound where none is open, StateConflict for another key, and InputRefused with
        every fault where the answer does not fit the question's schema. The schema is the
        package's own, so it is held against the answer in a judge.
        """
        asked = await self.store.read(questions.open_question, job_id=job_id)
        if asked.key == key and asked.schema:
            judged = partial(self.judges.judge, ANSWER, about="answer", schema=dict(asked.schema))
            _, problems = await self.judges.beside(judged, answer=value)
            if problems:
                raise InputRefused(f"This is no answer to {key!r}", problems=problems)
        return await self._answered(
            job_id, given=Answer(key=key, value=value, who=who, at=self.clock())
        )

    async def _answered(self, job_id: str, *, given: Answer, asked_in: int | None = None) -> Job:
        job = await self.store.run(questions.answer, job_id=job_id, given=given, asked_in=asked_in)
        await self.dispatch.attempt(job)
        self.notifier.notify(job_id)
        return job

    async def turn(self) -> bool:
        """Close what is overdue: by its own fallback, or the job fails; say whether more is."""
        due = await self.store.read(questions.overdue, at=self.clock(), limit=AT_A_TIME)
        for asked in due:
            await self._close(asked)
        return len(due) == AT_A_TIME

    async def _close(self, asked: Asked) -> None:
        at = self.clock()
        if asked.fallback is not None:
            given = Answer(key=asked.key, value=asked.fallback["value"], who=NOBODY, at=at)
            try:
                await self._answered(asked.job_id, given=given, asked_in=asked.attempt)
            except (NotFound, StateConflict):
                await self.store.run(questions.expire, asked=asked, at=at)
            return
        await self.store.run(questions.expire, asked=asked, at=at)
        self.notifier.notify(asked.job_id)
        self.notifier.notify(ended(asked.job_id))
