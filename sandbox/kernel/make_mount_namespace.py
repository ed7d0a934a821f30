"""Makes what mount_namespace.py is about, as root, in a process of its own.

`python make_mount_namespace.py PLACE DEVICES LINKS ROOT…`.

DEVICES and LINKS are what there is to be in PLACE/dev: `null,zero`, `fd=/proc/self/fd,…`.
"""

import ctypes
import os
import stat
import sys

_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_SLAVE, _MS_RDONLY, _MS_REMOUNT = 4096, 16384, 1 << 19, 1, 32


def main() -> None:
    """Unshare, furnish a fresh tmpfs at PLACE, say so, and wait for the end."""
    place, devices, links, roots = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
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
    dev = os.path.join(place, "dev")  # noqa: PTH118
    has_devices = _make_devices(dev, devices, links)
    mount(dev, dev, "", _MS_BIND)
    mount("none", dev, "", _MS_REMOUNT | _MS_BIND | _MS_RDONLY)
    sys.stdout.write("set\n" if has_devices else "set without devices\n")
    sys.stdout.flush()
    sys.stdin.read()


def _make_devices(folder: str, devices: str, links: str) -> bool:
    """Make the nodes that the host has; say whether one may (a container may not, mknod(2))."""
    os.umask(0)
    os.mkdir(folder, 0o755)  # noqa: PTH102
    try:
        for name in devices.split(","):
            node = os.stat("/dev/" + name)  # noqa: PTH116
            os.mknod(os.path.join(folder, name), 0o666 | stat.S_IFCHR, node.st_rdev)  # noqa: PTH118
    except OSError:
        return False
    for link in links.split(","):
        name, target = link.split("=")
        os.symlink(target, os.path.join(folder, name))  # noqa: PTH118, PTH211
    return True


def _check(result: int, name: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


if __name__ == "__main__":
    main()
