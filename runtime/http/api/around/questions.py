"""/v1/jobs/…/prompt and response: what a job asks, and what somebody answers."""

from typing import Annotated

from fastapi import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from runtime.http.api.models.sent_values import is_json
from runtime.http.api.models.views import JobDetail, View, job_detail
from runtime.http.context import PrincipalOf, QuestionsOf, StoreOf
from runtime.http.entrance.operations import operations
from runtime.store.jobs import jobs as job_store
from runtime.store.jobs import questions as question_store
from runtime.values.times import Time

router = operations(prefix="/v1/jobs", tags=["jobs"])


class PromptView(View):
    """What a job asks, and until when it waits for the answer."""

    job_id: str
    key: str
    prompt: str
    answer_schema: dict[str, JsonValue] = Field(
        validation_alias="schema", description="A JSON Schema that the answer has to fit."
    )
    fallback: dict[str, JsonValue] | None = Field(
        description='{"value": …}: what is taken when nobody answers in time; null: it fails then.'
    )
    asked_at: Time
    expires_at: Time | None


class ResponseOrder(BaseModel):
    """An answer to the question with that key."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(max_length=200)]
    answer: Annotated[JsonValue, AfterValidator(is_json)]


@router.get("/{job_id}/prompt")
async def get_prompt(job_id: str, *, store: StoreOf) -> PromptView:
    """Return what the job asks; 404 where it asks nothing."""
    found = await store.read(question_store.open_question, job_id=job_id)
    return PromptView.model_validate(found)


@router.post("/{job_id}/response", status_code=202)
async def answer_job(
    job_id: str,
    order: ResponseOrder,
    response: Response,
    *,
    questions: QuestionsOf,
    store: StoreOf,
    principal: PrincipalOf,
) -> JobDetail:
    """Answer what the job asks: it runs again with the answer at hand, and says who gave it.

    422 where the answer does not fit the question's schema, 409 where it asks for another key.
    """
    await questions.answer(job_id, key=order.key, value=order.answer, who=principal.name)
    response.headers["Location"] = f"/v1/jobs/{job_id}"
    job, attempts = await store.read(job_store.with_attempts, job_id=job_id)
    return job_detail(job, attempts=attempts)
