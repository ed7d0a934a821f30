"""Which names may an archive's entries have: a pure judgement, shared by bundles and wheels."""

import unicodedata

RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))]
)
LONGEST_PATH = 240
LONGEST_PART = 200
MOST_JUDGED_CHARS = 4096
"""Whatever else is wrong with a name that is longer is not looked for."""


def path_faults(name: str) -> list[tuple[str, str]]:
    """Return (code, sentence) for each rule that the entry name `name` breaks."""
    if not name:
        return [("empty-name", "the entry has no name")]
    if len(name) > MOST_JUDGED_CHARS:
        return [("long-path", f"the name is longer than {LONGEST_PATH} bytes")]
    return [*_character_faults(name), *_shape_faults(name), *_windows_faults(name)]


def folded(name: str) -> str:
    """Return the form under which two names meet on a file system that folds them."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFC", name).casefold()).rstrip("/")


def _character_faults(name: str) -> list[tuple[str, str]]:
    faults: list[tuple[str, str]] = []
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in name):
        faults.append(("control-character", "the name has a control or invisible character"))
    if unicodedata.normalize("NFC", name) != name:
        faults.append(("not-normalised", "the name is not in Unicode normal form C"))
    if "\\" in name:
        faults.append(("backslash", "the name has a backslash, which some readers take for '/'"))
    return faults


def _shape_faults(name: str) -> list[tuple[str, str]]:
    faults: list[tuple[str, str]] = []
    parts = name.rstrip("/").replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":"):
        faults.append(("absolute-path", "the name is an absolute path"))
    if ".." in parts:
        faults.append(("parent-path", "the name leads out of the archive with '..'"))
    if any(part in ("", ".") for part in parts[1:]) or parts[0] == ".":
        faults.append(("odd-path", "the name has an empty or '.' part"))
    if len(name.encode("utf-8", "replace")) > LONGEST_PATH:
        faults.append(("long-path", f"the name is longer than {LONGEST_PATH} bytes"))
    elif any(len(part.encode("utf-8", "replace")) > LONGEST_PART for part in parts):
        faults.append(("long-path", f"a part of the name is longer than {LONGEST_PART} bytes"))
    return faults


def _windows_faults(name: str) -> list[tuple[str, str]]:
    parts = [p for p in name.rstrip("/").replace("\\", "/").split("/") if p not in ("", ".", "..")]
    faults: list[tuple[str, str]] = []
    if any(part.split(".")[0].strip().casefold() in RESERVED for part in parts):
        faults.append(("windows-name", "a part of the name is a device on Windows"))
    if any(part.endswith((" ", ".")) for part in parts):
        faults.append(("windows-name", "a part of the name ends with a blank or a dot"))
    if any(character in name for character in '<>:"|?*') and not faults:
        faults.append(("windows-name", "the name has a character that Windows refuses"))
    return faults
