"""Files that a job is given, as they are sent."""

import mimetypes
from contextlib import ExitStack
from pathlib import Path

from runtime.client.calls import Input


def input_of(path: Path, *, stack: ExitStack) -> Input:
    """Return a file as an input, open until `stack` is left."""
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    content = stack.enter_context(path.open("rb"))
    return Input(name=path.name, content=content, media_type=media_type)
