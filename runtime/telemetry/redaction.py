"""Secrets that no line of a log shows: those of the settings, tokens, logins in addresses. Pure.

As with what a run says (`sandbox.runs.masking`) a secret is masked exactly, and as repr, JSON,
URLs, base64 and hexadecimal write it. It is against accidents: an exception that quotes an address.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import unquote

from pydantic import BaseModel, SecretStr

from sandbox.runs.masking import MASK, Mask, mask_of

LOGIN = re.compile(r"(?<=://)[^\s/?#@'\"<>]*(?::[^\s/?#'\"<>]*)?@")
SHOWN = re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}")
TOKEN = re.compile(r"fmh_[0-9A-Za-z]{16,}")
"""A token of ours, whole or cut off (`runtime.access.token_text`)."""
QUERY = re.compile(r"(?i)(?<=[?&])(\w*(?:pass|secret|token)\w*)=[^&\s'\"<>]+")
LOGIN_LINK = re.compile(r"(?<=[?&]code=)[\w-]{16,}")

OF_OTHERS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN")
"""What libraries of ours read from the environment, and nobody shall read in a log."""
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Redaction:
    """What is masked in each text; `mask` knows the secrets of the settings."""

    mask: Mask | None = None

    def text(self, said: str) -> str:
        """Return `said` without its secrets.

        >>> Redaction().text("redis://ops:hunter2@queue:6379 said no to Bearer abcdefgh12345678")
        'redis://**********@queue:6379 said no to Bearer **********'
        """
        if self.mask is not None:
            said = self.mask.text(said)
        said = LOGIN.sub(f"{MASK}@", said)
        said = QUERY.sub(lambda found: f"{found[1]}={MASK}", said)
        said = SHOWN.sub(lambda found: f"{found[1]} {MASK}", said)
        return LOGIN_LINK.sub(MASK, TOKEN.sub(MASK, said))


def redaction_of(settings: BaseModel, *, environ: Mapping[str, str] = NOTHING) -> Redaction:
    """Return what masks every secret in `settings`, wherever it is nested, and in `environ`.

    >>> redaction_of(BaseModel(), environ={"AWS_SECRET_ACCESS_KEY": "abcd1234"}).text("by abcd1234")
    'by **********'
    """
    found = dict.fromkeys(_secrets_in(settings))
    found |= dict.fromkeys(value for name in OF_OTHERS if (value := environ.get(name)))
    return Redaction(mask_of({str(number): one for number, one in enumerate(found)}))


def _secrets_in(value: object) -> Iterator[str]:
    """Yield every value that is secret by its type, and the logins of addresses."""
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        yield secret
        yield from _password_in(secret)
        if found := SHOWN.fullmatch(secret):  # the header of a collector: its token by itself
            yield secret[found.end(1) :].strip()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets_in(getattr(value, name))
    elif isinstance(value, dict):
        for one in cast("dict[Any, Any]", value).values():
            yield from _secrets_in(one)
    elif isinstance(value, str):
        yield from _password_in(value)


def _password_in(text: str) -> Iterator[str]:
    """Yield the password of an address, as it is written there and as it is meant."""
    for login in LOGIN.findall(text):
        _, _, password = login.removesuffix("@").partition(":")
        yield from {password, unquote(password)} - {""}
