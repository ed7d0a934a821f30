"""A folder that other users can enter, as pytest's own temporary folders are not."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder that everybody may enter; remove it, whatever is in it."""
    folder = Path(tempfile.mkdtemp(prefix="fumehood-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
