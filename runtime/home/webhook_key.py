"""What the secrets of webhooks are derived from: made once, and nobody else's to read."""

import secrets
from pathlib import Path

from runtime.settings.settings import Settings
from wheelhouse.durable import write_file

FOLDER = "keys"
FILE = "webhooks.key"
BYTES = 32


def webhook_key(settings: Settings) -> bytes:
    """Return the key of the settings, else that of the home, which is made if there is none."""
    if said := settings.webhooks.secret.get_secret_value():
        return said.encode()
    path: Path = settings.home / FOLDER / FILE
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_file(path, secrets.token_bytes(BYTES), mode=0o600)
    return path.read_bytes()
