"""GET /v1/jobs and /v1/presets: jobs by a filter, and filters under a name."""

from typing import Annotated

from fastapi import Path, Request, Response

from runtime.http.api.many.wanted import Wanted
from runtime.http.api.models.views import JobView, PageOf, View, page_view
from runtime.http.context import ClockOf, CursorOf, Limit, PrincipalOf, SightOf, StoreOf
from runtime.http.entrance.operations import operations
from runtime.http.filters import FilterOf
from runtime.store.lists import filtered, presets
from runtime.values.job_filter import filter_to
from runtime.values.records import Preset
from runtime.values.times import Time

router = operations(tags=["jobs"])
PresetName = Annotated[
    str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", description="The name of the preset.")
]


class PresetView(View):
    """A filter that was saved under a name."""

    name: str
    wanted: Wanted
    at: Time


def _view(preset: Preset) -> PresetView:
    return PresetView(
        name=preset.name, wanted=Wanted.model_validate(filter_to(preset.wanted)), at=preset.at
    )


@router.get("/v1/jobs")
async def list_jobs(
    request: Request,
    response: Response,
    store: StoreOf,
    cursor: CursorOf,
    limit: Limit = 50,
    *,
    wanted: FilterOf,
    sight: SightOf,
) -> PageOf[JobView]:
    """Return the jobs that meet all conditions, the last submitted first.

    A page may hold fewer than `limit`, or none, and have a `next_cursor`: what an index does not
    answer is looked for among 10,000 jobs at a time.
    """
    page = await store.read(filtered.page, limit=limit, cursor=cursor, wanted=wanted, sight=sight)
    return page_view(page, show=JobView.model_validate, request=request, response=response)


@router.get("/v1/presets")
async def list_presets(
    request: Request,
    response: Response,
    store: StoreOf,
    cursor: CursorOf,
    limit: Limit = 50,
    *,
    principal: PrincipalOf,
) -> PageOf[PresetView]:
    """Return the filters that who asks has saved, by name."""
    page = await store.read(presets.list_of, owner=principal.name, limit=limit, cursor=cursor)
    return page_view(page, show=_view, request=request, response=response)


@router.put("/v1/presets/{preset_name}")
async def save_preset(
    preset_name: PresetName,
    wanted: Wanted,
    *,
    store: StoreOf,
    principal: PrincipalOf,
    clock: ClockOf,
) -> PresetView:
    """Save a filter under a name; what that name meant before is forgotten."""
    saved = await store.run(
        presets.save,
        owner=principal.name,
        name=preset_name,
        wanted=wanted.to_filter(),
        at=clock(),
    )
    return _view(saved)


@router.delete("/v1/presets/{preset_name}", status_code=204)
async def remove_preset(preset_name: PresetName, *, store: StoreOf, principal: PrincipalOf) -> None:
    """Forget a preset."""
    await store.run(presets.remove, owner=principal.name, name=preset_name)
