"""Secrets that a run was given, masked in all that it says: lines, reports, errors, results. Pure.

This is against accidents (a URL with a token in an exception, a dump of the settings), not against
a package that wants a secret out: it has the value, and any cipher would do. Masked are the exact
value, its lines, as it is escaped by repr and JSON, its base64 at each of the three alignments,
its hexadecimal and its URL-quoted forms, by one pattern per run. A secret shorter than four
characters is not masked, since half of every text would go with it; the run is told so.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, quote_plus

from sandbox.command import Failure, Json, Outcome, Question, Report
from sandbox.protocol import TEXT_CHARS

SHORTEST = 4
MASK = "**********"
_SHORTEST_ENCODED = 6
"""Of a part of a base64 text: fewer characters are in too many others."""
_SHORTEST_LINE = 8
_ALIGNMENTS = ((0, 0), (1, 2), (2, 3))
"""How many bytes stand before the secret, and how many characters those have a part in."""


@dataclass(frozen=True, slots=True)
class Mask:
    """What to look for in all that one run says."""

    forms: tuple[str, ...]
    unmasked: tuple[str, ...]
    """The names of secrets that are too short."""
    _text: "re.Pattern[str]"
    _octets: "re.Pattern[bytes]"

    @property
    def longest_bytes(self) -> int:
        """How much of a text has to be seen at once, so that no secret is missed at a cut."""
        return max(len(form.encode()) for form in self.forms)

    def octets(self, said: bytes) -> bytes:
        """Return `said` with every secret masked."""
        return self._octets.sub(MASK.encode(), said)

    def text(self, said: str) -> str:
        """Return `said` with every secret masked, and what a cut at either end left of one."""
        return self._whole(self._text.sub(MASK, said))

    def json(self, value: Json) -> Json:
        """Return `value` with every secret masked, in keys too."""
        if isinstance(value, str):
            return self._text.sub(MASK, value)
        if isinstance(value, list):
            return [self.json(item) for item in value]
        if isinstance(value, dict):
            return self._table(value)
        return value

    def report(self, report: Report) -> Report:
        """Return what a run said through its handle, masked; lines are masked before."""
        if report.kind in {"stdout", "stderr"}:
            return report
        data = self._table(report.data)
        message = report.data.get("message")
        if isinstance(message, str) and len(message) >= TEXT_CHARS:  # and was cut, perhaps
            data["message"] = self.text(message)
        return replace(report, data=data)

    def outcome(self, outcome: Outcome) -> Outcome:
        """Return what came of a run, masked: result, error, question, names of refused outputs."""
        return replace(
            outcome,
            value=self.json(outcome.value),
            failure=outcome.failure and self._failure(outcome.failure),
            question=outcome.question and self._question(outcome.question),
            refusals=tuple(replace(one, path=self.text(one.path)) for one in outcome.refusals),
        )

    def _table(self, table: Mapping[str, Json]) -> dict[str, Json]:
        return {self._text.sub(MASK, key): self.json(value) for key, value in table.items()}

    def _failure(self, failure: Failure) -> Failure:
        traceback = self.text(failure.traceback)
        return replace(failure, what=self.text(failure.what), traceback=traceback)

    def _question(self, question: Question) -> Question:
        return replace(
            question,
            key=self.text(question.key),
            prompt=self.text(question.prompt),
            schema=self._table(question.schema),
            fallback=self.json(question.fallback),
        )

    def _whole(self, said: str) -> str:
        """Mask what is the end of a secret at the beginning of `said`, or the other way round."""
        for form in self.forms:
            for length in range(min(len(form) - 1, len(said)), SHORTEST - 1, -1):
                if said.endswith(form[:length]):
                    said = said[:-length] + MASK
                    break
                if said.startswith(form[-length:]):
                    said = MASK + said[length:]
                    break
        return said


def mask_of(secrets: Mapping[str, str]) -> Mask | None:
    """Return what masks `secrets`, by name; None where there are none to mask.

    >>> mask_of({"token": "s3cr3t/1"}).text("GET /?t=s3cr3t%2F1 and czNjcjN0LzE=")
    'GET /?t=********** and **********'
    """
    long_enough = [value for value in secrets.values() if len(value) >= SHORTEST]
    if not long_enough:
        return None
    distinct = {form for value in long_enough for form in _forms(value)}
    forms = tuple(sorted(distinct, key=lambda form: (-len(form), form)))
    pattern = "|".join(map(re.escape, forms))
    return Mask(
        forms=forms,
        unmasked=too_short(secrets),
        _text=re.compile(pattern),
        _octets=re.compile(pattern.encode()),
    )


def too_short(secrets: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of secrets that cannot be masked."""
    return tuple(name for name, value in secrets.items() if 0 < len(value) < SHORTEST)


def _forms(secret: str) -> Iterable[str]:
    yield secret
    yield from (line.strip() for line in secret.splitlines() if len(line) >= _SHORTEST_LINE)
    yield repr(secret)[1:-1]
    yield from (json.dumps(secret, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))
    raw = secret.encode("utf-8", "replace")
    yield from (raw.hex(), raw.hex().upper())
    quoted = (quote(secret, safe=""), quote(secret), quote_plus(secret))
    yield from (form for text in quoted for form in (text, _lower_escapes(text)))
    yield from _encoded(raw)


def _encoded(raw: bytes) -> Sequence[str]:
    """Return the characters of base64 that follow from `raw` alone, wherever it may begin."""
    found: list[str] = []
    for before, shared in _ALIGNMENTS:
        whole = (before + len(raw)) * 8 // 6
        encoded = base64.b64encode(bytes(before) + raw).decode()
        for plain in (encoded[shared:], encoded[shared:whole]):
            found += [plain, plain.translate(_URL_SAFE)]
    return [form for form in found if len(form) >= _SHORTEST_ENCODED]


_URL_SAFE = str.maketrans("+/", "-_")


def _lower_escapes(quoted: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quoted)
