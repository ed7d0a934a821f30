"""A mount namespace in which an unprivileged user can reach what cells must see.

A worker that is root starts its cells as an unprivileged host user, so that an escape lands
as nobody. That user cannot walk through root's home (0700), where interpreters and data
often are, and bubblewrap resolves every source by path (also with --ro-bind-fd, measured on
0.11). So root binds the folders it needs below one place that everybody may enter, in a
mount namespace that only cells are started from; the host's own view is untouched.
"""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from frozen.values import frozen
from sandbox.errors import CellUnstartableError
from sandbox.kernel import devices

_PLACES = ("/mnt", "/media", "/srv", "/opt", "/var/tmp")
_SCRIPT = Path(__file__).with_name("make_mount_namespace.py")


@dataclass(slots=True)
class MountNamespace:
    """Keeps a namespace with `roots` bound below `place`; grows when a new root is needed."""

    roots: tuple[Path, ...]
    within: Path
    """The folder that is ours. It may be 0700, so what is needed of it is bound one level down."""
    _fd: int = -1
    _devices: str = ""
    _bound: "dict[Path, _Bound]" = field(default_factory=dict[Path, "_Bound"])

    def reach(self, path: Path) -> str:
        """Return where `path` (absolute) can be reached in there; bind its root if need be.

        Raises CellUnstartableError where there is nothing at `path`.
        """
        try:
            real = _real(path)
        except OSError as fault:
            raise CellUnstartableError(f"{path}: {fault}", mend="see who removed it") from None
        found = self._find(real)
        if found is None:
            self._grow(Path(real))
            found = self._find(real)
        if found is None:
            raise CellUnstartableError(f"there is no {path}", mend="see who removed it")
        root, bound = found
        return bound.place + real[len(str(root)) :]

    @property
    def namespace_fd(self) -> int:
        """The descriptor of the mount namespace (setns(2))."""
        self._be_set()
        return self._fd

    @property
    def devices(self) -> str:
        """Where a cell's /dev is ready in the mount namespace; empty where none could be made."""
        self._be_set()
        return self._devices

    def close(self) -> None:
        """Let the namespace go; the kernel unmounts it when the last cell has left."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _be_set(self) -> None:
        if self._fd < 0:
            self._set(list(self.roots))

    def _find(self, real: str) -> "tuple[Path, _Bound] | None":
        """Return the root of `real` that is bound, and is still the same folder."""
        for root, bound in self._bound.items():
            if real == str(root) or real.startswith(f"{root}/"):
                return (root, bound) if bound.identity == _identity(root) else None
        return None

    def _grow(self, real: Path) -> None:
        wanted = [*self.roots, *self._bound, _root_of(real, within=self.within.resolve())]
        self._set([root for root in wanted if root.is_dir()])

    def _set(self, wanted: list[Path]) -> None:
        roots = _outermost([Path(os.path.realpath(root)) for root in wanted])
        place = next(place for place in _PLACES if Path(place).is_dir())
        namespace, has_devices = _namespace(place, tuple(roots))
        self.close()
        self._fd = namespace
        self._devices = f"{place}/dev" if has_devices else ""
        self._bound = {
            root: _Bound(place=f"{place}/{number}", identity=_identity(root))
            for number, root in enumerate(roots)
        }


@frozen
class _Bound:
    place: str
    identity: tuple[int, int]
    """Device and inode: a folder made anew at the same path has to be bound anew."""


def _root_of(real: Path, *, within: Path) -> Path:
    """Return the folder to bind for `real`: large, so that it serves the next one too.

    That is the folder in `within` that holds it, if all may walk from there to `real`; else its
    own folder.
    """
    own = real if real.is_dir() else real.parent
    if within not in own.parents:
        return own
    chain = [own, *own.parents[: own.parents.index(within)]]
    return chain[-1] if all(folder.stat().st_mode & 0o001 for folder in chain) else own


def _real(path: Path) -> str:
    """Return `path` with every link resolved, by the kernel (os.path.realpath takes 50 µs)."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 – a Path costs as much again
    finally:
        os.close(fd)


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = os.stat(folder)  # noqa: PTH116 – as above
    except OSError:
        return (0, 0)
    return (status.st_dev, status.st_ino)


def _outermost(paths: list[Path]) -> list[Path]:
    distinct = list(dict.fromkeys(paths))
    return [path for path in distinct if not any(other in path.parents for other in distinct)]


def _namespace(place: str, roots: tuple[Path, ...]) -> tuple[int, bool]:
    """Let a short-lived process make the namespace and fill it.

    Return a descriptor of the namespace, and whether there are devices in it.
    """
    links = ",".join(f"{name}={target}" for name, target in devices.LINKS.items())
    told = [place, ",".join(devices.NAMES), links, *map(str, roots)]
    setter = subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", str(_SCRIPT), *told],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert setter.stdout is not None and setter.stdin is not None  # noqa: S101 – asked for
    try:
        said = setter.stdout.readline()
        if not said.startswith(b"set"):
            _, error = setter.communicate()
            raise CellUnstartableError(
                f"no mount namespace for cells: {error.decode(errors='replace').strip()}",
                mend="run the worker as an ordinary user, or give root CAP_SYS_ADMIN",
            )
        namespace = os.open(f"/proc/{setter.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        return namespace, said == b"set\n"
    finally:
        setter.stdin.close()
        setter.stdout.close()
        setter.wait()
