"""Questions that jobs ask, and what becomes of one whose time is over. Pure."""

from dataclasses import field
from datetime import datetime, timedelta

from frozen.values import frozen
from runtime.values.records import JobError, JsonObject, SavedArtifact
from sandbox.command import Json, Question

MOST_PROMPT_CHARS = 10_000
MOST_KEY_CHARS = 200
MOST_SCHEMA_CHARS = 64 * 1024
LONGEST = timedelta(days=366)
NOBODY = "nobody: its time was over"
"""By whom a question is answered that has an answer of its own for that."""


@frozen
class Asked:
    """A question of a job: what is asked, until when, and what was answered by whom.

    `fallback` and `answer` are objects with a `value`, so that null is an answer too.
    """

    job_id: str
    key: str
    attempt: int
    prompt: str
    schema: JsonObject
    asked_at: datetime
    fallback: JsonObject | None = None
    expires_at: datetime | None = None
    answered_at: datetime | None = None
    answered_by: str = ""
    answer: JsonObject | None = None


@frozen
class Waits:
    """How an attempt ended that asked: what it asked, and the artifact of it."""

    question: Question
    artifact: SavedArtifact


def asked(
    question: Question, *, job_id: str, attempt: int, at: datetime, at_most: timedelta
) -> Asked:
    """Return the question of an attempt, open for as long as it wishes, and an admin allows.

    >>> from datetime import UTC
    >>> one = Question(key="k", prompt="?", schema={}, within_s=60)
    >>> now = datetime(2026, 11, 29, tzinfo=UTC)
    >>> asked(one, job_id="j", attempt=1, at=now, at_most=timedelta(days=7)).expires_at.minute
    1
    """
    wish = at_most if question.within_s is None else timedelta(seconds=max(question.within_s, 0))
    return Asked(
        job_id=job_id,
        key=question.key[:MOST_KEY_CHARS],
        attempt=attempt,
        prompt=question.prompt[:MOST_PROMPT_CHARS],
        schema=question.schema,
        asked_at=at,
        fallback={"value": question.fallback} if question.has_fallback else None,
        expires_at=at + min(wish, at_most),
    )


def unaskable(question: Question) -> JobError | None:
    """Return why a question cannot be put to anybody; None where it can."""
    if not question.key or len(question.key) > MOST_KEY_CHARS:
        what = f"the key of a question has 1 to {MOST_KEY_CHARS} characters"
    elif len(question.prompt) > MOST_PROMPT_CHARS:
        what = f"a prompt may have {MOST_PROMPT_CHARS} characters, not {len(question.prompt)}"
    else:
        return None
    return JobError(
        code="bad-question",
        what=what,
        mend="ask shortly; what is long belongs into an output",
        kind="package",
    )


def expired(question: Asked) -> JobError:
    """Return the error of a job whose question nobody answered in time."""
    return JobError(
        code="question-expired",
        what=f"nobody answered {question.key!r} in time: {question.prompt}"[:2000],
        mend="retry the job to be asked again; ask with a fallback, or within a longer time",
        kind="package",
    )


def unanswered(question: Asked) -> JobError:
    """Return the error of a job that is tried, and asks what nobody is there to answer."""
    return JobError(
        code="question-unanswered",
        what=f"it asks for {question.key!r}: {question.prompt}"[:2000],
        mend=f"give the answer: fumehood try … --answer {question.key}=VALUE",
        kind="package",
    )


@frozen
class Answer:
    """What somebody answers."""

    key: str
    value: Json
    who: str
    at: datetime
    origin: JsonObject = field(default_factory=dict[str, Json])
