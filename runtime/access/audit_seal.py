"""Signs the head of the audit log, and finds out whether the log is what was signed.

The chain of digests shows an entry that was changed, removed or moved; a log cut off at its end
is a whole chain. So its head is signed, hourly and at each opening of the gate, in the database
and in a file beside the key: who cuts the log has to cut both, and has the file to forge.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection

from frozen.values import frozen
from runtime.access.key_rotation import KnownKey, keys_of
from runtime.access.signing_key import FOLDER, is_signed, key_id
from runtime.store.access import audit
from runtime.values.records import AuditHead
from wheelhouse.times import rfc3339

HEAD_FILE = "audit-head.json"
HEAD = TypeAdapter(AuditHead)


@frozen
class AuditSeal:
    """Signs heads with `key`; the last is in the file of `home` too."""

    home: Path
    key: Ed25519PrivateKey

    def sign(self, connection: Connection, at: datetime) -> AuditHead | None:
        """Sign the last entry, unless it is signed already."""
        last = audit.last(connection)
        signed = audit.last_head(connection)
        if last is None or (signed is not None and signed.seq == last.seq):
            return signed
        public = self.key.public_key()
        payload = payload_of(seq=last.seq, digest=last.digest, at=at)
        head = AuditHead(
            number=signed.number + 1 if signed else 1,
            seq=last.seq,
            digest=last.digest,
            at=at,
            key_id=key_id(public),
            signature=base64.b64encode(self.key.sign(payload)).decode(),
        )
        audit.add_head(connection, head=head)
        _write(self.home / FOLDER / HEAD_FILE, HEAD.dump_json(head))
        return head


def payload_of(*, seq: int, digest: str, at: datetime) -> bytes:
    """Return what is signed of a head."""
    facts = {"audit": "fumehood", "seq": seq, "digest": digest, "at": rfc3339(at)}
    return json.dumps(facts, sort_keys=True).encode()


@frozen
class AuditVerdict:
    """What verifying came to: what is wrong, in words, and up to which entry it is signed."""

    faults: tuple[str, ...]
    entries: int
    signed_to: int
    first_break: int | None


def verify(connection: Connection, *, home: Path, key: Ed25519PublicKey | None) -> AuditVerdict:
    """Compute the chain anew, and hold it against each head that was signed."""
    broken = audit.first_break(connection)
    digests = audit.digests(connection)
    kept, noted = audit.heads(connection), _head_in_file(home)
    heads = [*kept, *noted]
    faults = [] if broken is None else [f"entry {broken} is not what it was, or one is gone"]
    if kept and not noted:
        faults.append(f"{home / FOLDER / HEAD_FILE} is gone, or not what was written there")
    faults += _faults(heads, digests=digests, keys=keys_of(home, current=key))
    return AuditVerdict(
        faults=tuple(dict.fromkeys(faults)),
        entries=len(digests),
        signed_to=max((head.seq for head in heads), default=0),
        first_break=broken,
    )


def _faults(
    heads: Sequence[AuditHead], *, digests: dict[int, str], keys: Mapping[str, KnownKey]
) -> Iterator[str]:
    if heads and not keys:
        yield "the key that signed the log is gone"
    for head in heads:
        payload = payload_of(seq=head.seq, digest=head.digest, at=head.at)
        if keys and not _is_good(head, key=keys.get(head.key_id), payload=payload):
            yield f"the signature of entry {head.seq} is not the appliance's"
        if head.seq not in digests:
            yield f"entry {head.seq} was signed, and is gone"
        elif digests[head.seq] != head.digest:
            yield f"entry {head.seq} is not the one that was signed"


def _is_good(head: AuditHead, *, key: KnownKey | None, payload: bytes) -> bool:
    if key is None or (key.until_seq is not None and head.seq > key.until_seq):
        return False
    try:
        signature = base64.b64decode(head.signature, validate=True)
    except ValueError:
        return False
    return is_signed(key.public, payload=payload, signature=signature)


def _head_in_file(home: Path) -> list[AuditHead]:
    path = home / FOLDER / HEAD_FILE
    try:
        return [HEAD.validate_json(path.read_bytes())]
    except (FileNotFoundError, ValidationError):
        return []


def _write(path: Path, content: bytes) -> None:
    aside = path.with_suffix(".part")
    aside.write_bytes(content)
    aside.chmod(0o600)
    aside.rename(path)
