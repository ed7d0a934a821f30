"""What an author can do about what keeps a version cold. Pure."""

_MENDS = {
    "threads": "let the function start them, or import in the function what starts them",
    "processes": "start processes in the function",
    "sockets": "open connections and event loops in the function",
    "open": "open in the function what is written to, and close at import what is not needed",
    "memory": "map files and make shared memory in the function",
    "folder": "do not change the current folder at import",
    "streams": "leave the standard streams alone at import",
    "files": "let on_activate make large files, which are job.data then",
    "slow": "make the import quicker",
    "failed": "read the traceback: the entry point's module must be importable",
}
"""By the word of the reason (Isolation.start_word)."""


def mend_of(word: str) -> str:
    """Return what keeps such a version from being cold, or nothing where its author has no part.

    >>> mend_of("processes")
    'start processes in the function'
    """
    return _MENDS.get(word, "")
