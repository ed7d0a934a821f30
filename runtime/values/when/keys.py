"""Which jobs share a key: at most so many of them run at a time, or start in so many seconds."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

from frozen.values import frozen
from runtime.values.access import is_bound_to
from sandbox.command import Json

PARAMETER = "parameters."
MOST_SHOWN = 80


@frozen
class KeyRule:
    """A rule for jobs with the same key, which is `package`, `principal` or `parameters.NAME`.

    As concurrency: `most` of them run at a time. As a rate: `most` of them start in `per_s`
    seconds, evenly spread. `package` is a name or a prefix with `*`, where an admin made the rule.
    """

    key: str
    most: int
    per_s: float = 0.0
    package: str = ""

    @property
    def between_s(self) -> float:
        """Return how many seconds are between two starts, where it is a rate."""
        return self.per_s / self.most


@frozen
class Keyed:
    """The key that one job has by a rule, and what the rule says of it."""

    key: str
    most: int
    between_s: float = 0.0


def rule_for(
    package: str, *, of_manifest: KeyRule | None, of_admin: Sequence[KeyRule]
) -> KeyRule | None:
    """Return the rule for jobs of `package`: the admin's first one about it, else its own."""
    named = (one for one in of_admin if is_bound_to((one.package or "*",), package))
    return next(named, of_manifest)


def keyed(
    rule: KeyRule | None,
    *,
    package: str,
    principal: str,
    parameters: Mapping[str, Json],
) -> Keyed | None:
    """Return the key of one job by `rule`; None where it has none.

    A job without the parameter that a rule names has the key of all jobs without it.

    >>> rule = KeyRule(key="parameters.customer", most=2)
    >>> keyed(rule, package="hello", principal="ana", parameters={"customer": 7}).key
    'hello parameters.customer=7'
    """
    if rule is None:
        return None
    whose = rule.package or package
    match rule.key:
        case "package":
            key = package
        case "principal":
            key = f"{whose} principal={principal}"
        case name:
            value = parameters.get(name.removeprefix(PARAMETER))
            key = f"{whose} {name}={_text(value)}"
    return Keyed(key=key, most=rule.most, between_s=rule.between_s if rule.per_s else 0.0)


def _text(value: Json) -> str:
    """Return a value as a part of a key: as JSON, or its digest where that is long."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    if len(text) <= MOST_SHOWN:
        return text
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def is_key(text: str) -> bool:
    """Return whether `text` can be the key of a rule.

    >>> is_key("package"), is_key("parameters.customer"), is_key("parameters.")
    (True, True, False)
    """
    return text in {"package", "principal"} or (
        text.startswith(PARAMETER) and len(text) > len(PARAMETER)
    )


def unknown_parameters(
    rules: Iterable[KeyRule | None], *, schema: Mapping[str, Json] | None
) -> tuple[str, ...]:
    """Return the keys of `rules` that name a parameter which `schema` knows nothing of."""
    properties = (schema or {}).get("properties")
    if not isinstance(properties, dict):
        return ()
    keys = (one.key for one in rules if one is not None)
    return tuple(
        key
        for key in keys
        if key.startswith(PARAMETER) and key.removeprefix(PARAMETER) not in properties
    )
