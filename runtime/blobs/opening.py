"""Where the bytes of these settings are kept: in the home, or in an object store of many."""

import logging

from frozen.values import frozen
from runtime.blobs.blob import Blobs
from runtime.blobs.cached import CachedBlobs
from runtime.blobs.depot import Depot, ObjectDepot, SharedHome
from runtime.blobs.local import LocalBlobs
from runtime.settings.settings import Settings
from sandbox.limits import MIB

log = logging.getLogger("fumehood.blobs")


@frozen
class Bytes:
    """The bytes of jobs, and what processes without a shared folder hand each other."""

    blobs: Blobs
    depot: Depot

    @property
    def is_shared_home(self) -> bool:
        """Return whether all processes see one home, and nothing has to be handed over."""
        return isinstance(self.depot, SharedHome)


async def open_bytes(settings: Settings) -> Bytes:
    """Return where the bytes are, once it has been tried. Raises BlobsAway."""
    here = LocalBlobs(settings.home / "blobs")
    if not settings.blobs_url:
        return Bytes(blobs=here, depot=SharedHome())
    # Here, since obstore takes 60 ms to import, and most appliances have no object store.
    from runtime.blobs.objects import Objects  # noqa: PLC0415

    objects = Objects(settings.blobs_url)
    if not await objects.probe():
        log.info("the object store of blobs_url writes over what is there; nothing here needs more")
    blobs = CachedBlobs(objects, here=here, most_bytes=settings.blobs_cache_mb * MIB)
    return Bytes(blobs=blobs, depot=ObjectDepot(objects))
