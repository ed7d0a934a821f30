"""The appliance's own key (Ed25519): made at its first start, and nobody else's to read.

It lies in a folder of the home that no cell has in sight and no blob is kept in.
"""

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from runtime.faults.errors import SettingsRefused

FOLDER = "keys"
FILE = "appliance.pem"


def signing_key(home: Path) -> Ed25519PrivateKey:
    """Return the key of `home`, made if there is none. Raises SettingsRefused for one of others."""
    path = home / FOLDER / FILE
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.parent.chmod(0o700)
    if not path.exists():
        write_key(path)
    status = path.stat()
    if status.st_mode & 0o077 or status.st_uid != os.geteuid():
        raise SettingsRefused(
            f"{path} is not ours alone: its mode is {status.st_mode & 0o777:04o}, "
            f"its owner uid {status.st_uid}",
            where=str(path),
            mend=f"`chmod 600 {path}`; whoever could read it can sign in the appliance's name",
        )
    return read_key(path)


def public_key_of(home: Path) -> Ed25519PublicKey | None:
    """Return the public key of `home`, None where it has none yet."""
    path = home / FOLDER / FILE
    return read_key(path).public_key() if path.exists() else None


def key_id(key: Ed25519PublicKey) -> str:
    """Return the name of a key: a digest of it."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:32]


def is_signed(key: Ed25519PublicKey, *, payload: bytes, signature: bytes) -> bool:
    """Return whether `signature` is that of `payload` by `key`."""
    try:
        key.verify(signature, payload)
    except InvalidSignature:
        return False
    return True


def write_key(path: Path) -> Ed25519PrivateKey:
    """Make a key and write it to `path`, whole or not at all; return it."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    aside = path.with_suffix(".part")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)
    return key


def read_key(path: Path) -> Ed25519PrivateKey:
    """Return the key in `path`. Raises SettingsRefused for what is none."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise _no_key(path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path)
    return key


def _no_key(path: Path) -> SettingsRefused:
    return SettingsRefused(
        f"{path} is no Ed25519 key",
        where=str(path),
        mend="put back the one that was there; without it what it signed cannot be verified here",
    )
