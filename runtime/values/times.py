"""A time as a field of a model: in JSON as RFC 3339, spelled once for all doors."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, PlainSerializer

from wheelhouse.times import rfc3339

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d.*")

type Time = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]


def _is_timestamp(value: Any) -> Any:
    """Refuse numbers of seconds, and dates alone: the schema says date-time (RFC 3339)."""
    if not isinstance(value, str) or RFC_3339.fullmatch(value) is None:
        raise ValueError("a time is written as 2026-11-29T12:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_is_timestamp)]
"""A point in time that somebody sends, with its zone."""


def _in_this_age(moment: datetime) -> datetime:
    """Refuse a time that no other zone can tell: the first and the last day of the calendar."""
    if not 2000 <= moment.year <= 9000:
        raise ValueError("the year has to be between 2000 and 9000")
    return moment


Year = Annotated[Moment, AfterValidator(_in_this_age)]
"""The same, in an age that every zone can tell."""
