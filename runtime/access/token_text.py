"""The text of a token: a prefix that people and secret scanners know, 256 bits, a checksum.

`fmh_` + 43 characters of base 62 + 6 of checksum (CRC-32). A typing fault is found without
asking the store. Only the SHA-256 is kept: with 256 random bits no slow hash is needed.
"""

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "fmh_"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
BODY, CHECK = 43, 6
FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{BODY + CHECK}}}")


def new_text() -> str:
    """Return the text of a new token.

    >>> is_whole(new_text())
    True
    """
    body = _base62(secrets.randbits(256), width=BODY)
    return f"{PREFIX}{body}{_checksum(body)}"


def is_whole(text: str) -> bool:
    """Return whether `text` could be a token: its form and its checksum are right."""
    if FORM.fullmatch(text) is None:
        return False
    body = text[len(PREFIX) : -CHECK]
    return secrets.compare_digest(_checksum(body), text[-CHECK:])


def digest_of(text: str) -> str:
    """Return what is kept of a token, a cookie or a link."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), width=CHECK)


def _base62(number: int, *, width: int) -> str:
    digits: list[str] = []
    for _ in range(width):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
