"""A time as a field of a model: in JSON as RFC 3339, spelled once for all doors."""

from datetime import datetime
from typing import Annotated

from pydantic import PlainSerializer

from wheelhouse.times import rfc3339

type Time = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
