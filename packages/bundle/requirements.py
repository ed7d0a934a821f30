"""requirements.txt judged: a pure function from the bundle's texts to Requirements or faults.

Allowed are names, extras, version specifiers, markers, --hash, comments, and -r and -c to
files inside the bundle. Whatever chooses where code comes from is the admin's, so each such
option is refused by its name.
"""

import posixpath
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from frozen.values import frozen
from packages.bundle.text import NotUtf8Error, decoded
from wheelhouse.metadata.requirement import read_requirement
from wheelhouse.problem import Problem, Problems, shown

FILE = "requirements.txt"
MOST_BYTES = 256 * 1024
MOST_LINES = 5_000
MOST_BYTES_OF_ALL = 1 << 20
"""Of a bundle's requirements with all that they include."""
MOST_DEPTH = 16
MOST_LINE_CHARS = 64 * 1024
"""Of a line with its continuations: a requirement with hundreds of hashes."""
MOST_NAME_CHARS = 128
INCLUDES = {"-r": "-r", "--requirement": "-r", "-c": "-c", "--constraint": "-c"}
PLACES_OF_CODE = frozenset(
    {
        *("-i", "--index-url", "--pypi-url", "--extra-index-url", "--index", "--default-index"),
        *("--no-index", "-f", "--find-links", "--trusted-host", "--proxy", "--cert"),
        *("--client-cert", "--keyring-provider", "--index-strategy"),
    }
)
WAYS_TO_INSTALL = frozenset(
    {
        *("--no-binary", "--only-binary", "--prefer-binary", "--pre", "--require-hashes"),
        *("--use-feature", "--config-settings", "--config-setting", "--global-option"),
        *("--install-option", "--build-option", "--no-deps", "--no-build-isolation"),
        *("--use-pep517", "--no-use-pep517", "--always-unzip", "-Z", "--exclude-newer"),
    }
)
HASH = re.compile(r"^(sha256|sha384|sha512):[0-9a-f]+$")
HASH_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
COMMENT = re.compile(r"(^|\s)#.*$")
ENVIRONMENT = re.compile(r"\$\{[A-Za-z0-9_]+\}|\$[A-Za-z_][A-Za-z0-9_]*|%[A-Za-z_]+%")
ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]*:(//)?", re.IGNORECASE)
VCS = re.compile(r"(?:^|@ ?)(?:git|hg|svn|bzr)[+:]")
LEFT_BY_DEBIAN = "pkg-resources"
PLACES_OF_CONDA = ("/feedstock_root/", "/croot/", "build_artifacts", "/conda/")
"""Where conda's packages were built: `pip freeze` writes those paths for what conda installed."""
FORMS_OF_FILES = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz", ".egg", ".tar", ".tar.xz")


@frozen
class Wanted:
    """One requirement, in canonical spelling, with the digests that its author allows."""

    text: str
    name: str
    hashes: tuple[str, ...]
    file: str
    line: int

    @property
    def where(self) -> str:
        """Return the place of the requirement, as file:line."""
        return f"{self.file}:{self.line}"


@frozen
class Requirements:
    """What the author asks for: requirements, and constraints on what they bring along."""

    wanted: tuple[Wanted, ...] = ()
    constraints: tuple[Wanted, ...] = ()

    @property
    def text(self) -> str:
        """Return the requirements alone, one a line, for a resolver."""
        return "".join(f"{wanted.text}\n" for wanted in self.wanted)

    @property
    def constraints_text(self) -> str:
        """Return the constraints alone, one a line."""
        return "".join(f"{wanted.text}\n" for wanted in self.constraints)

    @property
    def names(self) -> frozenset[str]:
        """Return the canonical names that are asked for directly."""
        return frozenset(wanted.name for wanted in self.wanted)


@dataclass(frozen=True, slots=True)
class _Line:
    """A logical line: continuations joined, its comment removed.

    `pieces` are its physical lines, as (number, where it begins), counted from `text`.
    """

    file: str
    text: str
    pieces: tuple[tuple[int, int], ...]

    @property
    def number(self) -> int:
        """Return the number of its first physical line."""
        return self.pieces[0][0]

    def place(self, at: int = 0) -> str:
        """Return file:line:column of the character `at` of the text."""
        number, begin = self.pieces[bisect_right(self.pieces, at, key=lambda piece: piece[1]) - 1]
        return f"{self.file}:{number}:{at - begin + 1}"


def parse(files: Mapping[str, bytes], *, start: str = FILE) -> tuple[Requirements, list[Problem]]:
    """Return what `files[start]` asks for, and every fault of it and of what it includes.

    `files` maps each path of the bundle to its content. No file, no requirements.
    """
    reader = _Reader(files)
    if start in files:
        reader.read(start, kind="-r", trail=())
    wanted = Requirements(wanted=tuple(reader.found["-r"]), constraints=tuple(reader.found["-c"]))
    return wanted, reader.problems.told()


class _Reader:
    """Gathers requirements and faults, file by file."""

    def __init__(self, files: Mapping[str, bytes]):
        self.files = files
        self.found: dict[str, list[Wanted]] = {"-r": [], "-c": []}
        self.problems = Problems()
        self.lines_left = MOST_LINES
        self.bytes_left = MOST_BYTES_OF_ALL
        self._known: set[tuple[str, str]] = set()

    def read(self, path: str, *, kind: str, trail: tuple[str, ...]) -> None:
        """Read the file at `path` as requirements (-r) or constraints (-c), each way once."""
        if (path, kind) in self._known:
            return
        self._known.add((path, kind))
        text = self._text(path)
        for line in logical_lines(text, file=path):
            self.lines_left -= 1
            if self.lines_left == 0:
                self._fault("too-large", f"more than {MOST_LINES} lines in all", path, "shorten it")
            if self.lines_left <= 0:
                return
            self._read_line(line, kind=kind, trail=(*trail, path))

    def _text(self, path: str) -> str:
        """Return the text of the file; empty where it is told what keeps it from being read."""
        content = self.files[path][: MOST_BYTES + 1]
        self.bytes_left -= len(content)
        try:
            text = decoded(content)
        except NotUtf8Error as error:
            self._fault("not-utf-8", error.what, path, error.mend)
            return ""
        if len(content) > MOST_BYTES:
            self._fault("too-large", f"it is larger than {MOST_BYTES} bytes", path, "shorten it")
            return ""
        if self.bytes_left < 0:
            what = f"it makes more than {MOST_BYTES_OF_ALL} bytes with what includes it"
            self._fault("too-large", what, path, "shorten it")
            return ""
        return text

    def _read_line(self, line: _Line, *, kind: str, trail: tuple[str, ...]) -> None:
        if found := ENVIRONMENT.search(line.text):
            what, mend = f"{found[0]} would be read from the environment", "write the value itself"
            self._fault_at(line, "environment-expansion", what, mend, at=found.start())
        elif len(line.text) > MOST_LINE_CHARS:
            what = f"a line of {len(line.text)} characters; the limit is {MOST_LINE_CHARS}"
            self._fault_at(line, "too-large", what, "write one requirement a line")
        elif line.text.startswith("-"):
            self._read_option(line, kind=kind, trail=trail)
        else:
            self._read_requirement(line, kind=kind)

    def _read_option(self, line: _Line, *, kind: str, trail: tuple[str, ...]) -> None:
        option, value = split_option(line.text)
        if option not in INCLUDES:
            self._fault_at(line, *refusal(option))
            return
        path = posixpath.normpath(posixpath.join(posixpath.dirname(line.file), value))
        if not value or ADDRESS.match(value) or path.startswith(("/", "..")):
            what = f"{option} {shown(value)} leads out of the bundle"
            self._fault_at(line, "include-outside", what, "put the file into the bundle")
        elif path in trail:
            what = f"{path} includes itself: {' → '.join([*trail, path])}"
            self._fault_at(line, "include-cycle", what, f"remove this {option}")
        elif len(trail) >= MOST_DEPTH:
            what = f"{path} is included through {len(trail)} files; the limit is {MOST_DEPTH}"
            self._fault_at(line, "include-too-deep", what, "include it from a file nearer by")
        elif path not in self.files:
            what = f"{shown(path)} is not in the bundle"
            self._fault_at(line, "include-missing", what, "add the file or remove the line")
        else:
            inner = "-c" if kind == "-c" else INCLUDES[option]
            self.read(path, kind=inner, trail=trail)

    def _read_requirement(self, line: _Line, *, kind: str) -> None:
        text, options = split_hashes(line.text)
        hashes: list[str] = []
        before = self.problems.count
        for at, option, value in options:
            if option != "--hash":
                self._fault_at(line, *refusal(option), at=at)
            elif not HASH.match(value) or len(value) - 7 != HASH_LENGTHS[value[:6]]:
                what = f"{shown(value)!r} is no digest by sha256, sha384 or sha512"
                mend = "write --hash=sha256:<64 hex digits>"
                self._fault_at(line, "bad-hash", what, mend, at=at)
            else:
                hashes.append(value)
        fault = _elsewhere(text)
        if fault:
            self._fault_at(line, *fault)
            return
        try:
            requirement = read_requirement(text)
        except InvalidRequirement as error:
            self._invalid(line, text, error)
            return
        if requirement.url:
            self._fault_at(line, *_located(requirement.name, requirement.url))
            return
        if canonicalize_name(requirement.name) == LEFT_BY_DEBIAN:
            what = (
                f"{text} is a leftover of `pip freeze` on Debian and Ubuntu: it is no distribution"
            )
            self._fault_at(line, "freeze-leftover", what, "delete the line")
            return
        if len(requirement.name) > MOST_NAME_CHARS:
            what = f"a name of {len(requirement.name)} characters"
            self._fault_at(line, "bad-requirement", what, "write the name of a distribution")
            return
        if self.problems.count == before:
            self._take(requirement, hashes, line, kind=kind)

    def _take(self, requirement: Requirement, hashes: list[str], line: _Line, *, kind: str) -> None:
        self.found[kind].append(
            Wanted(
                text=str(requirement),
                name=canonicalize_name(requirement.name),
                hashes=tuple(hashes),
                file=line.file,
                line=line.number,
            )
        )

    def _invalid(self, line: _Line, text: str, error: InvalidRequirement) -> None:
        explained = str(error).splitlines() or [""]
        caret = next((len(row) - len(row.lstrip()) for row in explained if "^" in row), 4)
        what = f"{shown(text)!r} is not a requirement: {shown(explained[0])}"
        mend = "write a name and versions, such as requests>=2.31"
        self._fault_at(line, "bad-requirement", what, mend, at=max(0, caret - 4))

    def _fault_at(self, line: _Line, code: str, what: str, mend: str, *, at: int = 0) -> None:
        where = "" if self.problems.is_full else line.place(at)
        self._fault(code, what, where, mend)

    def _fault(self, code: str, what: str, where: str, mend: str) -> None:
        self.problems.add(Problem(code=code, what=what, where=where, mend=mend))


def logical_lines(text: str, *, file: str) -> Iterator[_Line]:
    """Yield each line that says something, its continuations joined as pip joins them."""
    gathered, begins = "", list[tuple[int, int]]()
    for number, raw in enumerate(text.splitlines(), 1):
        begins.append((number, len(gathered)))
        if raw.endswith("\\") and not COMMENT.match(raw):
            gathered += raw[:-1] + " "
            continue
        yield from _logical_line(file, gathered + raw, begins)
        gathered, begins = "", []
    yield from _logical_line(file, gathered, begins)


def _logical_line(file: str, whole: str, begins: Iterable[tuple[int, int]]) -> Iterator[_Line]:
    said = COMMENT.sub("", whole)
    indent = len(said) - len(said.lstrip())
    if said.strip():
        pieces = tuple((number, begin - indent) for number, begin in begins)
        yield _Line(file, said.strip(), pieces)


def split_option(text: str) -> tuple[str, str]:
    """Split `--option=value`, `--option value`, `-oVALUE` into option and value."""
    head, _, tail = text.partition(" ")
    if head.startswith("--"):
        option, equals, value = head.partition("=")
        return option, value if equals else tail.strip()
    return head[:2], (head[2:].removeprefix("=") + " " + tail).strip()


def split_hashes(text: str) -> tuple[str, list[tuple[int, str, str]]]:
    """Split a requirement from the options behind it, each with where it begins."""
    begins = [found.end() for found in re.finditer(r"\s(?=--?[A-Za-z])", text)]
    parts = [text[at:until].strip() for at, until in pairwise([0, *begins, len(text)])]
    options = zip(begins, map(split_option, parts[1:]), strict=True)
    return parts[0], [(at, *option) for at, option in options]


def refusal(option: str) -> tuple[str, str, str]:
    """Return (code, what, mend) for an option that an author may not use."""
    if option in PLACES_OF_CODE:
        mend = "remove it: the admin chooses the index (`fumehood config show`)"
        return "index-option", f"{option} chooses where code comes from", mend
    if option in ("-e", "--editable"):
        return (
            "editable",
            f"{option} installs from source in place",
            "put the modules into the bundle",
        )
    if option in WAYS_TO_INSTALL:
        return "install-option", f"{option} changes how things are installed", "remove it"
    return "unknown-option", f"{shown(option)} is not an option that may stand here", "remove it"


def _elsewhere(text: str) -> tuple[str, str, str] | None:
    """Return the fault of a line that names a place instead of a distribution."""
    bare = text.partition(";")[0].strip()
    if ADDRESS.match(bare):
        return _direct(bare)
    is_path = bare.startswith((".", "/", "~", "\\")) or (
        bare.endswith(FORMS_OF_FILES) and "@" not in bare
    )
    if is_path or (re.match(r"^[\w.-]+[/\\]", bare) and "@" not in bare):
        mend = "give the wheel to the admin (`fumehood wheelhouse add FILE`) and write its name"
        return "path-requirement", f"{shown(bare)!r} is a path", mend
    return None


def _located(name: str, url: str) -> tuple[str, str, str]:
    code, what, mend = _direct(f"{name} @ {url}")
    if not url.lower().startswith("file:"):
        return code, what, mend
    mend = f"write {shown(name)}==VERSION: the path is of the machine that it was frozen on"
    if any(place in url for place in PLACES_OF_CONDA):
        text = shown(f"{name} @ {url}")
        what = f"{text!r} is a leftover of `pip freeze` on conda: the path that it was built in"
        return "freeze-leftover", what, f"delete the line, or write {shown(name)}==VERSION"
    return code, what, mend


def _direct(text: str) -> tuple[str, str, str]:
    is_vcs = VCS.search(text) is not None
    code, kind = ("vcs", "a version control URL") if is_vcs else ("direct-url", "a direct URL")
    mend = "write the name and version; the admin adds the wheel (`fumehood wheelhouse add FILE`)"
    return code, f"{shown(text)!r} is {kind}", mend
