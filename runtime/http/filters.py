"""Which jobs a query means: its conditions as one filter, for the API and the pages."""

from typing import Annotated, Any

from fastapi import Depends, Query

from runtime.faults.errors import InputRefused
from runtime.http.context import PrincipalOf, SightOf, StoreOf, with_services
from runtime.store.databases.store import Store
from runtime.store.lists import batches, presets
from runtime.values.access import Sight
from runtime.values.job_filter import (
    MOST_TEXT_CHARS,
    JobFilter,
    filter_from,
    filter_to,
    judge_filter,
    laid_over,
)
from runtime.values.states import State
from runtime.values.times import Moment


def judged(wanted: JobFilter) -> JobFilter:
    """Return `wanted`. Raises InputRefused for what no job can meet, all faults at once."""
    if problems := judge_filter(wanted):
        raise InputRefused("No job can be meant by this", problems=problems)
    return wanted


async def with_batch(wanted: JobFilter, *, store: Store, sight: Sight) -> JobFilter:
    """Return `wanted` with its batch named by id. Raises NotFound."""
    if wanted.batch is None:
        return wanted
    batch = await store.read(batches.get, name=wanted.batch, sight=sight)
    return filter_from({**filter_to(wanted), "batch": batch.id})


async def filter_of(
    store: StoreOf,
    principal: PrincipalOf,
    sight: SightOf,
    *,
    state: State | None = None,
    package: str | None = None,
    version: Annotated[str | None, Query(description="A version of the package.")] = None,
    submitted_by: Annotated[
        str | None, Query(alias="principal", description="Who submitted them: token:ana.")
    ] = None,
    worker: Annotated[str | None, Query(description="The worker that ran them last.")] = None,
    batch: Annotated[str | None, Query(description="A batch, by its name or its id.")] = None,
    error: Annotated[str | None, Query(description="The code of their error.")] = None,
    label: Annotated[
        list[str] | None,
        Query(max_length=8, description="name=value, or a name alone; several hold together."),
    ] = None,
    since: Annotated[Moment | None, Query(description="Submitted then or later.")] = None,
    until: Annotated[Moment | None, Query(description="Submitted before then.")] = None,
    text: Annotated[
        str | None,
        Query(max_length=MOST_TEXT_CHARS, description="What id, label or error has in it."),
    ] = None,
    preset: Annotated[
        str | None, Query(description="A preset of yours; what is given besides comes first.")
    ] = None,
) -> JobFilter:
    """Return the filter that a query holds. Raises InputRefused or NotFound."""
    given: dict[str, Any] = {
        "state": state,
        "package": package or None,
        "version": version or None,
        "principal": submitted_by or None,
        "worker": worker or None,
        "batch": batch or None,
        "error": error or None,
        "labels": [one for one in label or () if one] or None,
        "since": since,
        "until": until,
        "text": text or None,
    }
    wanted = filter_from(given)
    if preset:
        saved = await store.read(presets.get, owner=principal.name, name=preset)
        wanted = laid_over(saved.wanted, wanted)
    return await with_batch(judged(wanted), store=store, sight=sight)


FilterOf = Annotated[JobFilter, Depends(with_services(filter_of))]
