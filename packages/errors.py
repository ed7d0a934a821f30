"""What can go wrong with packages: one family, each class a sentence for people."""

from typing import ClassVar

from wheelhouse.errors import ProblemsFound
from wheelhouse.problem import Problem


class PackageError(ProblemsFound):
    """Something could not be done with the package."""

    code: ClassVar[str] = "package-error"


class BundleRefused(PackageError):
    """The upload is not a bundle that may be kept."""

    code = "bundle-refused"


class ManifestRefused(PackageError):
    """The manifest is not right."""

    code = "manifest-refused"


class BundleNotFound(PackageError):
    """There is no such bundle."""

    code = "bundle-not-found"


class NoInterpreter(PackageError):
    """No Python on this host is one that the package accepts."""

    code = "no-interpreter"


class LockRefused(PackageError):
    """The lock is not one that may be installed."""

    code = "lock-refused"


class LockFailed(PackageError):
    """The requirements could not be locked."""

    code = "lock-failed"


class FetchFailed(PackageError):
    """A wheel could not be fetched through the gate."""

    code = "fetch-failed"


class EnvironmentFailed(PackageError):
    """The environment could not be built."""

    code = "environment-failed"


class BuildFailed(PackageError):
    """A source distribution could not be built into a wheel."""

    code = "build-failed"


class ActivationRefused(PackageError):
    """The version cannot become active: what it asks for cannot be had here."""

    code = "activation-refused"


class ActivationFailed(PackageError):
    """The version's code did not pass: its on_activate hook, or the import of its entry point."""

    code = "activation-failed"

    def __init__(self, *problems: Problem, traceback: str = "") -> None:
        super().__init__(*problems)
        self.traceback = traceback


class CarriedRefused(PackageError):
    """What came as an environment is not the one that was packed."""

    code = "carried-refused"
