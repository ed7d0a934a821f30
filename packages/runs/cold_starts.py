"""What an author can do about what keeps a version cold. Pure."""

_MENDS = (
    (
        "threads running",
        "let the function start them, or import in the function what starts them",
    ),
    ("child processes", "start processes in the function"),
    ("socket:", "open connections and event loops in the function"),
    (
        "left open",
        "open in the function what is written to, and close at import what is not needed",
    ),
    ("memory that forks would share", "map files and make shared memory in the function"),
    ("changed its folder", "do not change the current folder at import"),
    ("standard stream", "leave the standard streams alone at import"),
    ("in files", "let on_activate make large files, which are job.data then"),
    ("took longer", "make the import quicker"),
    ("preload failed", "read the traceback: the entry point's module must be importable"),
)
"""By what the reason says, the most telling first."""


def mend_of(reason: str) -> str:
    """Return what keeps such a version from being cold, or nothing where its author has no part.

    >>> mend_of("preload left 1 child processes running")
    'start processes in the function'
    """
    return next((mend for said, mend in _MENDS if said in reason), "")
