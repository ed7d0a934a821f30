"""The files by which programs learn how much they may use, all kept below /sys. Pure.

Processors, as the C library counts them (get_nprocs(3)); memory and processors where programs look
that size themselves in containers (dask, loky, ray): at the root of the hierarchy, by the names of
both versions of cgroups. What goes by /proc/self/cgroup finds nothing: that path is another one in
each run, and a mount for it would cost every run.
"""

import math

from sandbox.limits import MIB, Limits

MEMINFO = "fumehood/meminfo"
"""What is shown as /proc/meminfo (proc(5)), by its place below /sys."""
_PERIOD_US = 100_000
_KIB = 1024
_ALL_OF_IT = ("MemTotal", "MemFree", "MemAvailable")
_NONE_OF_IT = (
    *("Buffers", "Cached", "SwapCached", "Active", "Inactive", "SwapTotal", "SwapFree"),
    *("Shmem", "Slab", "SReclaimable", "SUnreclaim"),
)
"""What psutil and free(1) ask for besides; a picture of the beginning, since files do not count."""


def below_sys(limits: Limits, *, processors: int) -> dict[str, bytes]:
    """Return the content of each file by its place below /sys.

    >>> below_sys(Limits(cpus=2, memory_mb=1), processors=8)["fs/cgroup/memory.max"]
    b'1048576\\n'
    """
    count = min(math.ceil(limits.cpus), processors)
    online = f"0-{count - 1}" if count > 1 else "0"
    quota_us, memory_bytes = round(limits.cpus * _PERIOD_US), limits.memory_mb * MIB
    told: dict[str, object] = {
        "devices/system/cpu/online": online,
        "devices/system/cpu/possible": online,
        "devices/system/cpu/present": online,
        "fs/cgroup/memory.max": memory_bytes,
        "fs/cgroup/cpu.max": f"{quota_us} {_PERIOD_US}",
        "fs/cgroup/memory/memory.limit_in_bytes": memory_bytes,
        "fs/cgroup/cpu/cpu.cfs_quota_us": quota_us,
        "fs/cgroup/cpu/cpu.cfs_period_us": _PERIOD_US,
    }
    told[MEMINFO] = _meminfo(memory_bytes)
    return {place: f"{content}\n".encode() for place, content in told.items()}


def _meminfo(memory_bytes: int) -> str:
    """Return what /proc/meminfo says of a machine that has so much, all of it free.

    >>> _meminfo(1048576).splitlines()[0]
    'MemTotal:           1024 kB'
    """
    told = dict.fromkeys(_ALL_OF_IT, memory_bytes // _KIB) | dict.fromkeys(_NONE_OF_IT, 0)
    return "\n".join(f"{name + ':':<16}{kib:>8} kB" for name, kib in told.items())
