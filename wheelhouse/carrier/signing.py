"""Signs what is carried, and checks it: DSSE envelopes with Ed25519 keys."""

import base64
import json
from collections.abc import Iterable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, Key, SSlibKey  # pyright: ignore[reportPrivateImportUsage]

from frozen.values import frozen
from wheelhouse.errors import CarrierRefused, KeyRefused
from wheelhouse.problem import Problem


@frozen
class Signed:
    """What an envelope holds, and the id of the key that vouches for it."""

    payload: bytes
    keyid: str


def sign(payload: bytes, *, payload_type: str, private_key_pem: bytes) -> bytes:
    """Return a DSSE envelope (JSON) of `payload`. Raises KeyRefused for what is no such key."""
    key = _private(private_key_pem)
    envelope = Envelope(payload, payload_type, {})
    envelope.sign(CryptoSigner(key))
    return _to_json(envelope)


def verify_signed(
    payload: bytes,
    *,
    told_type: str,
    signatures: Iterable[tuple[str, str]],
    payload_type: str,
    public_keys_pem: list[bytes],
) -> Signed:
    """Return the payload of an envelope if one of the keys signed it. Raises CarrierRefused.

    The envelope was taken apart by a judge: `signatures` are key ids and base64.
    """
    try:
        read = _envelope(payload, told_type=told_type, signatures=signatures)
        keys: list[Key] = [SSlibKey.from_crypto(_public(pem)) for pem in public_keys_pem]
        if told_type != payload_type:
            raise ValueError(f"it is a {told_type}, not a {payload_type}")
        accepted = read.verify(keys, 1)
    except (ValueError, KeyError, TypeError, UnsupportedAlgorithm, VerificationError) as error:
        raise CarrierRefused(_unsigned(str(error))) from error
    return Signed(payload=payload, keyid=next(iter(accepted)))


def _private(pem: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyRefused(_no_key(f"it cannot be read: {error}")) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyRefused(_no_key("it is not an Ed25519 private key"))
    return key


def _public(pem: bytes) -> Ed25519PublicKey:
    key = load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("the key is not an Ed25519 public key")
    return key


def _to_json(envelope: Envelope) -> bytes:
    told: dict[str, object] = envelope.to_dict()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return json.dumps(told, sort_keys=True).encode()


def _envelope(payload: bytes, *, told_type: str, signatures: Iterable[tuple[str, str]]) -> Envelope:
    told: dict[str, object] = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": told_type,
        "signatures": [{"keyid": keyid, "sig": sig} for keyid, sig in signatures],
    }
    return Envelope.from_dict(told)  # pyright: ignore[reportUnknownMemberType]


def _no_key(what: str) -> Problem:
    return Problem(
        code="bad-key",
        what=what,
        where="key",
        mend="make one without a password: `openssl genpkey -algorithm ed25519 -out key.pem`",
    )


def _unsigned(detail: str) -> Problem:
    return Problem(
        code="bad-signature",
        what=f"no trusted key vouches for it: {detail}",
        where="signature",
        mend="get it again, or trust its maker's key: `fumehood wheelhouse import --trust KEY`",
    )
