"""Who runs this command, as audit logs and origins name them."""

import getpass
import os


def local_user() -> str:
    """Return who runs this, by name where the host knows one."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a uid that no passwd file names, as in many containers
        return f"uid {os.getuid()}"
