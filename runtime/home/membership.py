"""Which cluster a process belongs to, by its settings and its home."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from runtime.home.sole_use import alone_in, id_of, one_of
from runtime.settings.setting_types import without_login
from runtime.settings.settings import Settings
from runtime.values.cluster import Cluster


def places_of(settings: Settings) -> dict[str, str]:
    """Return what the processes of one home have to agree on, without any login."""
    return {
        "database_url": without_login(settings.database_url),
        "docket_url": without_login(settings.docket_url),
        "docket_name": settings.docket_name,
        "blobs_url": settings.blobs_url,
    }


@contextmanager
def held(settings: Settings, *, is_alone: bool) -> Generator[None]:
    """Have the home meanwhile: as its only appliance, or as one of those that work for it.

    Before anything else is done there. Raises HomeInUse, MixedSetUp.
    """
    with ExitStack() as stack:
        if is_alone:
            stack.enter_context(alone_in(settings.home))
        stack.enter_context(one_of(settings.home, cluster=places_of(settings)))
        yield


def cluster_of(settings: Settings) -> Cluster:
    """Return the cluster of these settings; what lives in a home is named after it."""
    home = f"the home {id_of(settings.home)}"
    return Cluster(
        docket=f"memory:// in {home}"
        if settings.is_one_process
        else without_login(settings.docket_url),
        docket_name=settings.docket_name,
        blobs=settings.blobs_url or home,
    )
