"""Sets the stage (see stage.py): `python stage_set.py PLACE ROOT…`, as root, alone."""

import ctypes
import os
import sys

_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_SLAVE, _MS_RDONLY, _MS_REMOUNT = 4096, 16384, 1 << 19, 1, 32


def main() -> None:
    """Unshare, bind each root below PLACE in a fresh tmpfs, say so, and wait for the end."""
    place, roots = sys.argv[1], sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
        done = libc.mount(
            source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()
        )
        _check(done, "mount " + target)

    _check(libc.unshare(_CLONE_NEWNS), "unshare")
    mount("none", "/", "", _MS_REC | _MS_SLAVE)
    opened = [os.open(root, os.O_PATH | os.O_DIRECTORY) for root in roots]
    mount("tmpfs", place, "tmpfs", 0, "mode=0755,size=1m")
    for number, fd in enumerate(opened):
        target = os.path.join(place, str(number))  # noqa: PTH118 – pathlib would be the only import
        os.mkdir(target, 0o755)  # noqa: PTH102
        mount(f"/proc/self/fd/{fd}", target, "", _MS_BIND | _MS_REC)
    sys.stdout.write("set\n")
    sys.stdout.flush()
    sys.stdin.read()


def _check(result: int, name: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


if __name__ == "__main__":
    main()
