"""What a file system leaves in folders and archives, and nobody wrote: no part of a bundle."""

import posixpath

OF_MACOS = "__MACOSX"


def is_leftover(path: str) -> bool:
    """Return whether `path` is what macOS leaves in archives and folders, and nobody wrote.

    >>> is_leftover("__MACOSX/._extract.py"), is_leftover("docs/.DS_Store"), is_leftover("a.py")
    (True, True, False)
    """
    name = posixpath.basename(path)
    return path.startswith(f"{OF_MACOS}/") or name == ".DS_Store" or name.startswith("._")
