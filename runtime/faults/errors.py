"""What can go wrong in the runtime: one class per fault, its docstring is the sentence read."""

from collections.abc import Sequence
from typing import Any, ClassVar

from wheelhouse.problem import Problem


class RuntimeFault(Exception):
    """The appliance could not do what was asked."""

    code: ClassVar[str] = "runtime-fault"

    def __init__(
        self,
        what: str = "",
        *,
        where: str = "",
        mend: str = "",
        problems: Sequence[Problem] = (),
        retry_after_s: int | None = None,
        job_id: str | None = None,
    ) -> None:
        """Keep the facts; `what` defaults to the sentence of the class."""
        self.what = what or (type(self).__doc__ or "").splitlines()[0]
        own = Problem(code=self.code, what=self.what, where=where, mend=mend)
        self.problems: tuple[Problem, ...] = tuple(problems) or (own,)
        self.retry_after_s = retry_after_s
        self.job_id = job_id
        super().__init__(self.what)

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process and come back as what it was, with all its facts."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[RuntimeFault], args: tuple[object, ...], facts: dict[str, Any]) -> Any:
    fault = kind.__new__(kind, *args)
    fault.__dict__.update(facts)
    return fault


class NotFound(RuntimeFault):
    """There is nothing of this name here."""

    code = "not-found"


class StateConflict(RuntimeFault):
    """The current state does not allow this change."""

    code = "state-conflict"


class VersionConflict(RuntimeFault):
    """This version of the package was uploaded before, as other bytes."""

    code = "version-conflict"


class NotActive(RuntimeFault):
    """The package has no active version that a job could run."""

    code = "not-active"


class NotLocked(RuntimeFault):
    """The version has no lock yet."""

    code = "not-locked"


class QueueFull(RuntimeFault):
    """The queue is full; the job was not accepted."""

    code = "queue-full"


class QuotaExceeded(RuntimeFault):
    """Of this package, or of who asks, there is as much here as may be."""

    code = "quota-exceeded"


class MixedSetUp(RuntimeFault):
    """Processes that are running now use other places than this one would."""

    code = "mixed-set-up"


class QueueAway(RuntimeFault):
    """The queue of this home cannot be reached now."""

    code = "queue-away"


class StoreAway(RuntimeFault):
    """The database cannot be reached now."""

    code = "store-away"


class BlobsAway(RuntimeFault):
    """The object store cannot be reached now."""

    code = "blobs-away"


class KeyUsed(RuntimeFault):
    """The idempotency key was used for another order."""

    code = "key-used"


class KeyInUse(RuntimeFault):
    """The order that was sent first with this idempotency key is still on its way."""

    code = "key-in-use"


class InputRefused(RuntimeFault):
    """The request cannot be accepted as it is."""

    code = "input-refused"


class Malformed(RuntimeFault):
    """The request could not be read."""

    code = "malformed"


class CrossSite(RuntimeFault):
    """A request from another web site may not change anything here."""

    code = "cross-site"


class Unauthorized(RuntimeFault):
    """Nobody is answered here who does not say who it is."""

    code = "unauthorized"


class WrongToken(RuntimeFault):
    """This is no token that is valid here now."""

    code = "wrong-token"


class TooManyWrongTokens(RuntimeFault):
    """Too many wrong tokens were shown."""

    code = "too-many-wrong-tokens"


class TooManyRequests(RuntimeFault):
    """This principal has asked for more than it may in a minute."""

    code = "too-many-requests"


class NotAllowed(RuntimeFault):
    """Who asks may not do this."""

    code = "not-allowed"


class Misdirected(RuntimeFault):
    """The appliance is not called what the request calls it."""

    code = "misdirected"


class PreconditionRequired(RuntimeFault):
    """This changes what somebody else may have changed: say which state of it is meant."""

    code = "precondition-required"


class PreconditionFailed(RuntimeFault):
    """It is not any more as it was read."""

    code = "precondition-failed"


class TooLarge(RuntimeFault):
    """The request is larger than this appliance accepts."""

    code = "too-large"


class UnknownMediaType(RuntimeFault):
    """The content type of the request is not one that this resource takes."""

    code = "unknown-media-type"


class Superseded(RuntimeFault):
    """The attempt is no longer the current one of its job; nothing of it may be published."""

    code = "superseded"


class NotReady(RuntimeFault):
    """The appliance cannot take work now."""

    code = "not-ready"


class SettingsRefused(RuntimeFault):
    """The settings are not valid."""

    code = "settings-refused"


class HomeInUse(RuntimeFault):
    """Another appliance is using this data folder."""

    code = "home-in-use"


class AddressTaken(RuntimeFault):
    """The address cannot be listened on."""

    code = "address-taken"


class BlobMissing(RuntimeFault):
    """The bytes of this digest are not in the store."""

    code = "blob-missing"


class OutputGone(RuntimeFault):
    """The output was there and has been removed since."""

    code = "output-gone"


class StillRunning(RuntimeFault):
    """The job has not ended in the time that it was waited for."""

    code = "still-running"


class ServerUnreachable(RuntimeFault):
    """No appliance answers at this address."""

    code = "server-unreachable"


class ProviderUnreachable(RuntimeFault):
    """The OpenID provider does not answer as it should."""

    code = "provider-unreachable"


class TryFailed(RuntimeFault):
    """The bundle cannot be tried, since it does not become active."""

    code = "try-failed"

    def __init__(self, what: str, *, problems: Sequence[Problem], traceback: str) -> None:
        """Keep the traceback of on_activate beside the problems."""
        super().__init__(what, problems=problems)
        self.traceback = traceback


class ShadowedImport(RuntimeFault):
    """A package of the appliance was imported from another distribution."""

    code = "shadowed-import"


class AttemptStuck(RuntimeFault):
    """An attempt came to no end of a phase that is not the package's own."""

    code = "attempt-stuck"


class AttemptLost(RuntimeFault):
    """An attempt failed on our side, and nothing will try it again."""

    code = "attempt-lost"


# What the outside refuses us (`runtime.faults.outages` tells which): none is a bug of ours.


class DiskFull(RuntimeFault):
    """The disk has no room left."""

    code = "disk-full"


class HomeReadOnly(RuntimeFault):
    """The home cannot be written to."""

    code = "home-read-only"


class StoreBusy(RuntimeFault):
    """Another process keeps the database locked."""

    code = "store-busy"


class StoreDamaged(RuntimeFault):
    """The database is damaged."""

    code = "store-damaged"


class StoreNewer(RuntimeFault):
    """The database was written by a newer version of ours."""

    code = "store-newer"


class StoreOlder(RuntimeFault):
    """The database is as an older version of ours left it, and who only works changes none."""

    code = "store-older"
