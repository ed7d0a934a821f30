"""The media type of a file by its name: the same on every host, whatever its /etc/mime.types."""

import mimetypes
from functools import cache
from importlib import resources

UNKNOWN = "application/octet-stream"


def media_type_of(name: str) -> str:
    """Return the media type of a file called `name`.

    >>> media_type_of("table.xlsx")
    'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'
    """
    return _types().guess_type(name)[0] or UNKNOWN


@cache
def _types() -> mimetypes.MimeTypes:
    """Return the types that a cell is shown as /etc/mime.types, over Python's own."""
    types = mimetypes.MimeTypes()
    text = resources.files("sandbox").joinpath("base", "mime.types").read_text("utf-8")
    for line in text.splitlines():
        kind, *endings = line.partition("#")[0].split() or [""]
        for ending in endings:
            types.add_type(kind, f".{ending}")
    return types
