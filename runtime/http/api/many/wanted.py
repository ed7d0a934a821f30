"""The conditions on jobs in the body of a request: a preset, or what a bulk operation is for."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from runtime.http.api.models.sent_values import Sentence
from runtime.http.filters import judged
from runtime.values.job_filter import MOST_TEXT_CHARS, JobFilter, filter_from
from runtime.values.states import State
from runtime.values.times import Moment


class Wanted(BaseModel):
    """Conditions on jobs, which hold together."""

    model_config = ConfigDict(extra="forbid")

    state: State | None = None
    package: Sentence | None = None
    version: Sentence | None = Field(None, description="A version of the package.")
    principal: Sentence | None = Field(None, description="Who submitted them.")
    worker: Sentence | None = Field(None, description="The worker that ran them last.")
    batch: Sentence | None = Field(None, description="A batch, by its name or its id.")
    error: Sentence | None = Field(None, description="The code of their error.")
    labels: tuple[Sentence, ...] = Field(
        (), max_length=8, description="name=value, or a name alone; several hold together."
    )
    since: Moment | None = Field(None, description="Submitted then or later.")
    until: Moment | None = Field(None, description="Submitted before then.")
    text: Annotated[str, Field(max_length=MOST_TEXT_CHARS)] | None = Field(
        None, description="What their id, a label, or their error has in it."
    )

    def to_filter(self) -> JobFilter:
        """Return the filter. Raises InputRefused for what no job can meet, all faults at once."""
        return judged(filter_from(self.model_dump()))
