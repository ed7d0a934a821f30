"""Text of a bundle: bytes decoded, or the sentence that says what they are instead. Pure."""

import codecs

MOST_LOOKED_AT = 4096
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
POWERSHELL = (
    "save it as UTF-8: in PowerShell `… | Out-File -Encoding utf8 FILE`, "
    "since its `>` writes UTF-16"
)


class NotUtf8Error(Exception):
    """Bytes that are no UTF-8; `what` says so in a sentence, `mend` what to do."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


def decoded(content: bytes) -> str:
    """Return the text that `content` holds, without a byte order mark. Raises NotUtf8Error.

    >>> decoded("ü".encode("utf-8-sig"))
    'ü'
    """
    if is_utf_16(content):
        raise NotUtf8Error("it is UTF-16, as PowerShell's `>` writes it, not UTF-8", POWERSHELL)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotUtf8Error(f"byte {error.start} is not UTF-8", "save it as UTF-8") from error


def is_utf_16(content: bytes) -> bool:
    """Return whether `content` is UTF-16: by its mark, or since every other byte is a NUL."""
    begin = content[:MOST_LOOKED_AT]
    if begin.startswith(UTF_16):
        return True
    halves = (begin[0::2], begin[1::2])
    return len(begin) > 3 and any(half.count(0) > len(half) * 0.8 for half in halves)
