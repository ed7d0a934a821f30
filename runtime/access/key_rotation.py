"""Another key for the appliance, and the former ones that signed the older part of the audit log.

Each former key is vouched for by the one that came after it, up to the entry that it signed last:
so nobody adds a key of their own to those that are believed. Its private half is gone.
"""

import base64
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import TypeAdapter, ValidationError

from frozen.values import frozen
from runtime.access.signing_key import FILE, FOLDER, is_signed, key_id, read_key, write_key

RETIRED_FILE = "retired-keys.json"
NEXT_FILE = "appliance-next.pem"


@frozen
class RetiredKey:
    """A key that signs no more: what it signed is up to `until_seq`, by the word of the next."""

    public: str
    until_seq: int
    signature: str


RETIRED = TypeAdapter(tuple[RetiredKey, ...])


@frozen
class KnownKey:
    """A key whose signatures count, up to an entry; None for all that come."""

    public: Ed25519PublicKey
    until_seq: int | None = None


def rotate(home: Path, *, until_seq: int) -> Ed25519PrivateKey:
    """Give the appliance of `home` another key; return it. What was signed is up to `until_seq`.

    The next key is written first, and takes its place last: a crash leaves one key that counts.
    """
    folder = home / FOLDER
    former = read_key(folder / FILE).public_key()
    (folder / NEXT_FILE).unlink(missing_ok=True)
    following = write_key(folder / NEXT_FILE)
    retired = RetiredKey(
        public=_text(former.public_bytes_raw()),
        until_seq=until_seq,
        signature=_text(following.sign(_payload(former, until_seq=until_seq))),
    )
    _write(folder / RETIRED_FILE, (*retired_keys(home), retired))
    (folder / NEXT_FILE).rename(folder / FILE)
    return following


def keys_of(home: Path, *, current: Ed25519PublicKey | None) -> dict[str, KnownKey]:
    """Return the keys whose signatures count, by their ids: the current one and those before it."""
    known: dict[str, KnownKey] = {}
    if current is None:
        return known
    known[key_id(current)] = KnownKey(public=current)
    voucher = current
    for retired in reversed(retired_keys(home)):
        former = _vouched(retired, by=voucher)
        if former is not None:  # else a rotation that did not come to its end, or a stranger's
            known.setdefault(key_id(former), KnownKey(public=former, until_seq=retired.until_seq))
            voucher = former
    return known


def retired_keys(home: Path) -> tuple[RetiredKey, ...]:
    """Return what is noted of former keys, the oldest first."""
    try:
        return RETIRED.validate_json((home / FOLDER / RETIRED_FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return ()


def _vouched(retired: RetiredKey, *, by: Ed25519PublicKey) -> Ed25519PublicKey | None:
    try:
        former = Ed25519PublicKey.from_public_bytes(base64.b64decode(retired.public))
        signature = base64.b64decode(retired.signature)
    except (ValueError, UnsupportedAlgorithm):
        return None
    payload = _payload(former, until_seq=retired.until_seq)
    return former if is_signed(by, payload=payload, signature=signature) else None


def _payload(former: Ed25519PublicKey, *, until_seq: int) -> bytes:
    return f"fumehood retires {key_id(former)} after {until_seq}".encode()


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _write(path: Path, keys: tuple[RetiredKey, ...]) -> None:
    aside = path.with_suffix(".part")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(RETIRED.dump_json(keys))
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)
