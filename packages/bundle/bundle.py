"""Bundle: one judged upload, unpacked and read-only."""

from pathlib import Path

from frozen.values import frozen
from packages.bundle.manifest import Hook, Manifest
from packages.bundle.requirements import Requirements
from wheelhouse.problem import Problem

CONVENTIONS = {
    "on_activate": "hooks.on_activate:run",
    "on_after_extract": "hooks.on_after_extract:run",
}


@frozen
class BundleFile:
    """A file of a bundle. `sha256` is `sha256:<hex>`."""

    path: str
    size_bytes: int
    sha256: str


@frozen
class Bundle:
    """A bundle: `digest` (`sha256:<hex>` of the upload) is its identity."""

    digest: str
    size_bytes: int
    folder: Path
    """Its files, unpacked and read-only."""
    manifest: Manifest
    requirements: Requirements
    files: tuple[BundleFile, ...]
    notices: tuple[Problem, ...] = ()
    """What its author should look at again; nothing is refused for it."""
    author_lock: str | None = None
    """The text of the author's own pylock.toml, if there is one."""

    @property
    def on_activate(self) -> Hook | None:
        """Return the hook that must pass before this version becomes active."""
        return self._hook("on_activate", self.manifest.hooks.on_activate)

    @property
    def on_after_extract(self) -> Hook | None:
        """Return the hook that runs after each job."""
        return self._hook("on_after_extract", self.manifest.hooks.on_after_extract)

    def file(self, path: str) -> BundleFile | None:
        """Return the file at `path`."""
        return next((file for file in self.files if file.path == path), None)

    def source_of(self, target: str) -> BundleFile | None:
        """Return the file that defines the module of `target` (`module:function`)."""
        return next((found for p in module_files(target) if (found := self.file(p))), None)

    def _hook(self, name: str, said: Hook | None) -> Hook | None:
        if said is not None:
            return said
        return Hook(target=CONVENTIONS[name]) if self.source_of(CONVENTIONS[name]) else None


def module_files(target: str) -> tuple[str, str]:
    """Return the two paths that may define the module of `target`."""
    path = target.partition(":")[0].replace(".", "/")
    return f"{path}.py", f"{path}/__init__.py"
