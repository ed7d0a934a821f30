"""What can go wrong in the wheelhouse: one family, each class a sentence for people."""

from typing import ClassVar

from wheelhouse.problem import Problem


class ProblemsFound(Exception):
    """An input was judged, and this is what is wrong with it.

    The families of the rooms that judge input stand on it: a class is a sentence with a code, and
    an error of it has one problem or more. Nobody raises or catches this one.
    """

    code: ClassVar[str] = "problems-found"

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        sentence = (type(self).__doc__ or "").strip()
        return " ".join([sentence, *(f"{p.where}: {p.what}" for p in self.problems)])


class WheelhouseError(ProblemsFound):
    """The wheelhouse could not do what was asked of it."""

    code: ClassVar[str] = "wheelhouse-error"


class WheelRefused(WheelhouseError):
    """The file is not a wheel that may be kept."""

    code = "wheel-refused"


class WheelNotFound(WheelhouseError):
    """The wheelhouse has no such wheel."""

    code = "wheel-not-found"


class WheelCorrupt(WheelhouseError):
    """A wheel in the house is not what it was when it was added."""

    code = "corrupt-wheel"


class CarrierRefused(WheelhouseError):
    """The carried archive is not one that may be imported."""

    code = "carrier-refused"


class KeyRefused(WheelhouseError):
    """The key is not one that can sign."""

    code = "key-refused"


class AdvisoriesRefused(WheelhouseError):
    """The file is not an OSV snapshot."""

    code = "advisories-refused"


class LockHeld(WheelhouseError):
    """A lock of ours did not come free in time."""

    code = "lock-held"


class JudgeFailed(WheelhouseError):
    """What was sent could not be judged, by a fault of this machine."""

    code = "judge-failed"
