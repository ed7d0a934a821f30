"""What a cell has in /dev: five devices that do nothing to the host, and the usual links."""

NAMES = ("null", "zero", "full", "random", "urandom")
LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "shm": "/work/scratch/shm",
}
