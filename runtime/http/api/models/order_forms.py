"""Orders as they are sent: what to run as JSON, with inputs as the files of a form."""

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from runtime.blobs.blob import Staging
from runtime.faults.errors import InputRefused, Malformed, TooLarge
from runtime.http.api.models.sent_values import Number, Sentence, WholeNumber
from runtime.http.bodies.bodies import Part
from runtime.jobs.orders.input_names import InputNames
from runtime.jobs.orders.rules import Wish
from runtime.settings.settings import Settings
from runtime.values.media_types import media_type_of
from runtime.values.records import JobInput
from runtime.values.retries import MOST_NAMES, RetryPolicy
from runtime.values.times import Year
from runtime.values.when.line import HIGHEST, LOWEST
from sandbox.limits import MIB
from wheelhouse.problem import Problem

type Name = Annotated[str, Field(min_length=1, max_length=200)]
Priority = Annotated[WholeNumber, Field(ge=LOWEST, le=HIGHEST)]


class RetryOrder(BaseModel):
    """How often to run a job whose package fails, in all; within the admin's ceiling."""

    model_config = ConfigDict(extra="forbid")

    attempts: Annotated[WholeNumber, Field(ge=1, le=100)]
    backoff_s: Annotated[Number, Field(ge=0, le=86_400, allow_inf_nan=False)] = 1.0
    on: tuple[Name, ...] = Field(
        (), max_length=MOST_NAMES, description="Codes or exceptions; empty: any failure."
    )

    def to_policy(self) -> RetryPolicy:
        """Return it as a value."""
        return RetryPolicy(attempts=self.attempts, backoff_s=self.backoff_s, on=self.on)


class WhenOrder(BaseModel):
    """What an order may say of when its job runs."""

    model_config = ConfigDict(extra="forbid")

    retry: RetryOrder | None = Field(None, description="Empty: as the manifest says.")
    not_before: Year | None = Field(None, description="It does not begin before then.")
    expires_at: Year | None = Field(None, description="It is given up if it has not begun then.")
    unique: Sentence = Field(
        "", description="While a job with this key waits or runs, the order is that job."
    )
    keep: Literal["first", "newest"] = Field(
        "first", description="`newest`: what waits with the same `unique` is cancelled."
    )
    priority: Priority = Field(0, description="Higher goes first; no other waits for ever.")

    def to_wish(self) -> Wish:
        """Return it as a value."""
        return Wish(
            retry=self.retry.to_policy() if self.retry else None,
            not_before=self.not_before,
            expires_at=self.expires_at,
            unique=self.unique,
            keep=self.keep,
            priority=self.priority,
        )


def read_order[T](text: str, *, model: TypeAdapter[T], about: str, example: str) -> T:
    """Return the order in `text`; raise InputRefused with every fault."""
    try:
        return model.validate_json(text)
    except ValidationError as error:
        problems = [
            Problem(
                code="invalid-value",
                what=fault["msg"],
                where=f"{about}: /" + "/".join(map(str, fault["loc"])),
                mend=f"a {about} is {example}",
            )
            for fault in error.errors(include_url=False)
        ]
        what = f"The {about} cannot be accepted as it is"
        raise InputRefused(what, problems=problems) from error


def form_schema(model: type[BaseModel], *, field: str) -> dict[str, Any]:
    """Return the description of a body that is an order alone, or a form with inputs after it."""
    schema = model.model_json_schema()
    order = _inlined(schema, schema.pop("$defs", {}))
    content = {
        "application/json": {"schema": order},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [field],
                "additionalProperties": False,
                "properties": {
                    field: {**order, "description": "JSON; it comes before the inputs."},
                    "input": {"type": "array", "items": {"type": "string", "format": "binary"}},
                },
            }
        },
    }
    return {"requestBody": {"required": True, "content": content}}


def _inlined(part: Any, parts: Mapping[str, Any]) -> Any:
    """Return a schema with the parts that it refers to in their places: it stands in another."""
    if isinstance(part, list):
        return [_inlined(one, parts) for one in cast("list[Any]", part)]
    if not isinstance(part, dict):
        return part
    told = cast("dict[str, Any]", part)
    if "$ref" in told:
        return _inlined(parts[told["$ref"].rpartition("/")[2]], parts)
    return {name: _inlined(value, parts) for name, value in told.items()}


async def read_inputs(
    form: AsyncIterator[Part], *, staging: Staging, settings: Settings
) -> list[JobInput]:
    """Return the inputs that follow in the form; their bytes are staged."""
    inputs: list[JobInput] = []
    names = InputNames(most=settings.inputs_most)
    most_mb = settings.input_most_mb
    left = most_mb * MIB
    async for part in form:
        names.take(part.filename)
        inputs.append(await _read_input(part, staging=staging, most_bytes=left, most_mb=most_mb))
        left -= inputs[-1].size_bytes
    return inputs


async def first_field(form: AsyncIterator[Part], *, name: str = "job") -> str:
    """Return the text of the field that comes before the inputs."""
    first = await anext(form, None)
    if first is None or first.field != name or first.filename:
        raise Malformed(
            f"The first field of the form is not `{name}`",
            where="form",
            mend=f'send the field {name}={{"package": …}} before the inputs',
        )
    return await first.text()


async def _read_input(part: Part, *, staging: Staging, most_bytes: int, most_mb: int) -> JobInput:
    if part.field != "input":
        raise Malformed(
            f"The form has an unknown field {part.field!r}",
            where=part.field,
            mend="files go into fields named `input`",
        )
    try:
        blob = await staging.put_stream(part.chunks, most_bytes=most_bytes)
    except TooLarge as error:
        raise TooLarge(
            f"The inputs are larger than {most_mb} MiB together",
            where=part.filename,
            mend="send less, or raise the setting `input_most_mb`",
        ) from error
    return JobInput(
        name=part.filename,
        size_bytes=blob.size_bytes,
        sha256=blob.sha256,
        media_type=_media_type(part),
    )


def _media_type(part: Part) -> str:
    if part.media_type != "application/octet-stream":
        return part.media_type
    return media_type_of(part.filename)
