"""TOML by somebody else, read by tomllib with a bound on what it is not linear in.

tomllib copies a dotted key for each of its parts: one of 400 kB took 116 s and 4 GB.
"""

import re
import tomllib
from typing import Any

MOST_PARTS = 32
"""Of a dotted key; a lock has 3, and a pyproject.toml 6."""
STRINGS = re.compile(
    r"'''(?:[^']++|'(?!''))*+'{3,5}"
    r'|"""(?:[^"\\]++|\\.|"(?!""))*+"{3,5}'
    r"|'[^'\n]*+'"
    r'|"(?:[^"\\\n]++|\\.)*+"'
    r"|\#[^\n]*+",
    re.DOTALL,
)
LONG_KEY = re.compile(rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{MOST_PARTS}}}")


def read_toml(text: str) -> dict[str, Any]:
    """Return what `text` holds. Raises ValueError (TOMLDecodeError is one) or RecursionError.

    >>> read_toml('a.b = "c.d" # e')
    {'a': {'b': 'c.d'}}
    """
    bare = STRINGS.sub("s", text)
    if LONG_KEY.search(bare):
        raise ValueError(f"a key has more than {MOST_PARTS} parts")
    return tomllib.loads(text)
