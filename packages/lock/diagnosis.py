"""Diagnosis: what uv said, turned into problems that name the package and the mend.

Pure: uv's words, what the house lacks, the target and the grant go in; problems come out.
The words are all there is: uv 0.13.9 has neither codes nor a machine's format for why it fails
(`uv pip compile --help`). Each kind is tested against the real uv, so a change of its wording
breaks a test, and an unknown wording still gives a problem that keeps uv's own explanation.
"""

import errno
import re
from collections.abc import Iterable
from dataclasses import replace

from frozen.values import frozen
from packages.lock.grant import Grant
from packages.lock.lock import Offered
from wheelhouse.lacking.closure import Lack
from wheelhouse.metadata.target import Target
from wheelhouse.problem import Problem

MOST_CHARS = 100_000
"""Of what uv said; the rest is not looked at."""
NAME = r"(?<![\w.=<>!~,-])(?P<name>[a-z0-9][a-z0-9._-]*+)(?:\[[^][ ]*+\])?"
"""A name from its very beginning, and as a whole. uv repeats what an author wrote, and a pattern
that tries each part of a version as a name took 17 s for one of 2,000 characters."""
BOUNDS = r"(?:[=<>!~][^ ]*+)?"
NOT_FOUND = re.compile(rf"{NAME} was not found in the (?:cache|package registry|provided)")
WRONG_TAG = re.compile(rf"{NAME}{BOUNDS} has no wheels with a matching")
WRONG_TAGS = re.compile(rf"versions of {NAME} have no wheels with a matching")
WRONG_PYTHON = re.compile(
    rf"(?:requested|current) Python version .*? does not satisfy Python(?P<asked>\S+) and {NAME}"
)
SOURCE_ONLY = re.compile(rf"{NAME}(?P<bounds>{BOUNDS}) ha(?:s|ve) no usable wheels")
NO_VERSION = re.compile(
    rf"(?:only (?:the following versions of )?{NAME}{BOUNDS} (?:is|are) available|"
    rf"there (?:is|are) no versions? of {NAME.replace('?P<name>', '?P<other>')})"
)
UNREACHABLE = re.compile(
    r"Failed to fetch|error sending request|client error \(Connect\)|dns error|"
    r"operation timed out|Could not connect|peer certificate|tunnel"
)
REFUSED = re.compile(r"status code 40[13]|\b40[13] (?:Unauthorized|Forbidden)")
FULL = re.compile(rf"os error {errno.ENOSPC}\b|os error {errno.EDQUOT}\b|No space left")
CORRUPT = re.compile(
    rf"{NAME}{BOUNDS} has an invalid package format|"
    r"failed to open file `(?:[^/\s`]*+/)*+(?P<file>[^/\s`]++)(?<=\.whl)`"
)
NO_PYTHON = re.compile(
    r"Failed to (?:inspect|query) Python interpreter|No interpreter found|Querying Python at"
)
NO_SOLUTION = "No solution found"
BY_ADDRESS = re.compile(
    rf"Package `{NAME}` was included as a URL dependency|Network connectivity is disabled"
)


@frozen
class Circumstances:
    """What was tried: for which target, under which grant, with which index."""

    target: Target
    grant: Grant
    index: str
    used_index: bool

    @property
    def where_tried(self) -> str:
        """Return where distributions were looked for."""
        return f"the wheelhouse or {self.index}" if self.used_index else "the wheelhouse"


def diagnose(
    stderr: str, lacks: Iterable[Lack], circumstances: Circumstances
) -> tuple[Problem, ...]:
    """Return a problem for each thing that kept uv from a lock."""
    stderr = stderr[:MOST_CHARS]
    explanation = explained(stderr)
    if FULL.search(stderr):
        return (disk_full(explanation),)
    if NO_PYTHON.search(stderr):
        return (_python_unusable(explanation),)
    if found := CORRUPT.search(stderr):
        return (_corrupt(found["file"] or found["name"], explanation),)
    if found := BY_ADDRESS.search(stderr):
        return (_direct(found["name"] or "requirements.txt", explanation),)
    unreachable = circumstances.used_index and UNREACHABLE.search(stderr)
    if unreachable or REFUSED.search(stderr):
        return (index_unreachable(circumstances.index, explanation),)
    found = {problem.where: problem for problem in _from_words(explanation, circumstances)}
    if not circumstances.used_index:
        is_conflict = "And because" in explanation
        told = [k for k in lacks if not (is_conflict and k.why == "no-version")]
        found = {**found, **{p.where: p for p in (_lacking(k, circumstances) for k in told)}}
    last = _conflict if NO_SOLUTION in stderr else _unexplained
    return tuple(found.values()) or (last(explanation),)


def without_wheels(stderr: str) -> dict[str, str]:
    """Return what uv found no usable wheel of, by name, as requirements.

    >>> without_wheels("cause: Because numpy>=2.1.0 has no usable wheels and you require it")
    {'numpy': 'numpy>=2.1.0'}
    """
    told = SOURCE_ONLY.finditer(explained(stderr[:MOST_CHARS]))
    return {found["name"]: f"{found['name']}{found['bounds']}" for found in told}


def wrong_python(requirement: str, name: str, *, there: str, tried: Circumstances) -> Problem:
    """Return the problem of a distribution that has wheels for Python `there`, and not for ours."""
    return Problem(
        code="wrong-python",
        what=f"{requirement} has no wheel for Python {tried.target.python} in {tried.where_tried}; "
        f"it has one for Python {there}",
        where=name,
        mend=f"raise requires_python in the manifest (such as >={there}), or lower the requirement"
        if _is_later(there, tried.target.python_minor)
        else "set requires_python in the manifest to a Python that there are wheels for, "
        f"such as =={there}.*, or ask for a later version",
    )


def _is_later(minor: str, other: str) -> bool:
    return [int(part) for part in minor.split(".")] > [int(part) for part in other.split(".")]


def explained(stderr: str) -> str:
    """Return uv's explanation as one paragraph, without its prefixes."""
    lines = [line.strip() for line in stderr.splitlines()]
    kept = [
        line.removeprefix("cause: ") for line in lines if line and not line.startswith("warning")
    ]
    text = " ".join(kept).removeprefix("error: ")
    text = text.replace("No solution found when resolving dependencies ", "")
    return re.sub(r" hint: Packages were unavailable because the network.*?the cache\.", "", text)


def disk_full(detail: str) -> Problem:
    """Return the problem of a full disk."""
    return Problem(
        code="disk-full",
        what=f"there is no space left: {detail}",
        where="disk",
        mend="free some: `fumehood env gc`, `fumehood wheelhouse prune`, or a larger disk",
    )


def index_unreachable(index: str, detail: str) -> Problem:
    """Return the problem of an index that does not answer, or not to us."""
    return Problem(
        code="index-unreachable",
        what=f"{index} does not answer as it should: {detail}",
        where=index,
        mend=(
            "check the index's address, credentials, CA and proxy (`fumehood config show`); "
            "offline, bring the wheels by `fumehood wheelhouse mirror` and `import`"
        ),
    )


def leads_elsewhere(what: str, why: str) -> Problem:
    """Return the problem of an index that leads to where nobody may go."""
    return Problem(
        code="leads-elsewhere",
        what=f"the index leads to where it may not: {why}",
        where=what,
        mend="if that place is meant, let the admin name it (`index.hosts`, and `index.private` "
        "where its address is not public); else tell whoever keeps the index",
    )


def without_digest(name: str) -> Problem:
    """Return the problem of a distribution whose files an index lists without a sha256."""
    return Problem(
        code="no-hash",
        what=f"the index lists the files of {name} without a sha256: nothing vouches for what came",
        where=name,
        mend=f"tell whoever keeps the index, or add the wheel yourself: {adding(name)}",
    )


def metadata_differs(wheel: str, name: str) -> Problem:
    """Return the problem of a wheel that is not what its metadata at the index said."""
    return Problem(
        code="metadata-differs",
        what=f"the index gave out another METADATA than {wheel} has in it, so what it needs may "
        "be missing in the lock",
        where=name,
        mend="tell whoever keeps the index; with the wheel here, the lock may be tried again "
        "with the gate closed",
    )


def too_costly(what: str, why: str) -> Problem:
    """Return the problem of an index that sends more, or slower, than it may."""
    return Problem(
        code="too-costly",
        what=f"what the index sends was given up: {why}",
        where=what,
        mend="try again later; if that is meant, raise the bound (`fumehood config show`, index)",
    )


def locked_absent(wanted: Offered, tried: Circumstances) -> Problem:
    """Return the problem of a wheel that a lock names and the house does not have."""
    pinned = f"{wanted.name}=={wanted.version}"
    return Problem(
        code="not-in-wheelhouse",
        what=f"{wanted.name} {wanted.version} is locked as {wanted.wheel}, which is not here; "
        f"{_why_closed(tried)}",
        where=wanted.name,
        mend=_bring(wanted.name, tried, requirement=pinned, wheel=wanted.wheel),
    )


def gate_closed(why: str, *, name: str) -> Problem:
    """Return the problem of a gate that is closed for `name`."""
    return Problem(
        code="gate-closed",
        what=f"{name} would have to come through the network gate, and {why}",
        where=name,
        mend=f"{opening(name)}, or add the wheel: {adding(name)}",
    )


def resolve_cut(reason: str, *, when: str) -> Problem:
    """Return the problem of a gate that closed before uv had its answers from the index."""
    why = f" ({reason})" if reason else ""
    return Problem(
        code="gate-closed",
        what=f"the network gate closed{why} {when}",
        where="requirements.txt",
        mend="`fumehood gate open --for 15m --reason '…'`, and activate the version again",
    )


def network_required(why: str) -> Problem:
    """Return the problem of an install that its manifest lets happen with the network only."""
    return Problem(
        code="gate-closed",
        what=f"the manifest requires the network for its install, and {why}",
        where="manifest.json: network.install",
        mend="`fumehood gate open --for 15m --reason 'first install'`, "
        "or say `if-open` in the manifest, so that the wheelhouse will do",
    )


def opening(name: str) -> str:
    """Return the command that opens the gate for `name`."""
    return f"`fumehood gate open --for 15m --reason 'install {name}'`"


def adding(name: str, *, wheel: str = "") -> str:
    """Return the command that adds a wheel of `name`, or `wheel` itself."""
    file = wheel or f"{name.replace('-', '_')}-….whl"
    return f"`fumehood wheelhouse add {file}`"


def _from_words(text: str, tried: Circumstances) -> Iterable[Problem]:
    """Yield a problem for each name that uv's explanation blames outright."""
    target = f"Python {tried.target.python} on {tried.target.platform}"
    for found in NOT_FOUND.finditer(text):
        yield _absent(found["name"], text, tried)
    for found in (*WRONG_TAG.finditer(text), *WRONG_TAGS.finditer(text)):
        what = f"no wheel of {found['name']} in {tried.where_tried} fits {target} "
        yield _wrong_target(
            found["name"], f"{what}(tags tried: {tried.target.tags_tried()}): {text}"
        )
    for found in WRONG_PYTHON.finditer(text):
        yield _wrong_target(found["name"], f"{found['name']} does not run on {target}: {text}")
    for found in SOURCE_ONLY.finditer(text):
        yield _source_only(found["name"], text, tried)
    if "And because" not in text:
        for found in NO_VERSION.finditer(text):
            yield _no_version(found["name"] or found["other"], text, tried)


def _lacking(lack: Lack, tried: Circumstances) -> Problem:
    """Return the problem of something that the house lacks."""
    asked = f", which {lack.asked_by} needs," if lack.asked_by else ""
    here = ", ".join(lack.here[:4]) or "nothing of that name"
    what = f"{lack.requirement}{asked} cannot be met; the wheelhouse has {here}"
    if lack.why == "absent":
        what = f"{lack.requirement}{asked} is not in the wheelhouse"
        return _absent(lack.name, what, tried, requirement=lack.requirement)
    if lack.why == "no-version":
        return _no_version(lack.name, what, tried, requirement=lack.requirement)
    target = f"Python {tried.target.python} on {tried.target.platform}"
    what = f"{what}, nothing for {target} (tags tried: {tried.target.tags_tried()})"
    return replace(_wrong_target(lack.name, what), mend=_mend_target(lack, tried))


def _absent(name: str, text: str, tried: Circumstances, *, requirement: str = "") -> Problem:
    what = text if text.startswith(name) else f"{name} is not in {tried.where_tried}: {text}"
    if tried.used_index:
        mend = f"check the spelling of {name!r}, or add its wheel: {adding(name)}"
        return Problem(code="not-in-index", what=what, where=name, mend=mend)
    for_target = f"for Python {tried.target.python} on {tried.target.platform}"
    what = f"{what} ({for_target}; tags tried: {tried.target.tags_tried()}); {_why_closed(tried)}"
    mend = _bring(name, tried, requirement=requirement)
    return Problem(code="not-in-wheelhouse", what=what, where=name, mend=mend)


def _no_version(name: str, text: str, tried: Circumstances, *, requirement: str = "") -> Problem:
    mend = (
        f"ask for a version that there is, or add its wheel: {adding(name)}"
        if tried.used_index
        else _bring(name, tried, requirement=requirement)
    )
    return Problem(code="no-version-satisfies", what=text, where=name, mend=mend)


def _wrong_target(name: str, text: str) -> Problem:
    mend = (
        f"add a wheel for this target ({adding(name)}), "
        "or set requires_python in the manifest to a Python that there are wheels for"
    )
    return Problem(code="wrong-python-or-platform", what=text, where=name, mend=mend)


def _mend_target(lack: Lack, tried: Circumstances) -> str:
    narrower = "set requires_python in the manifest to a Python that there are wheels for"
    if tried.used_index:
        return f"add a wheel for this target ({adding(lack.name)}), or {narrower}"
    return f"{_bring(lack.name, tried, requirement=lack.requirement)}; or {narrower}"


def _source_only(name: str, text: str, tried: Circumstances) -> Problem:
    if tried.grant.source_builds:
        why, mend = (
            "locks take wheels",
            f"build it in a cell: `fumehood wheelhouse build {name}-….tar.gz`",
        )
    else:
        why = "the admin allows wheels only"
        mend = f"add a wheel that was built elsewhere: {adding(name)}, or allow source builds"
    what = f"{name} is offered as source only, and {why}: {text}"
    return Problem(code="source-only", what=what, where=name, mend=mend)


def _conflict(text: str) -> Problem:
    mend = (
        "loosen one of the requirements that contradict each other, "
        "and upload that as a new version: `fumehood package upload BUNDLE --activate`"
    )
    return Problem(code="conflict", what=text, where="requirements.txt", mend=mend)


def _python_unusable(text: str) -> Problem:
    mend = (
        "mend or reinstall that Python on the worker (`uv python install`); "
        "nothing is wrong with the requirements"
    )
    return Problem(code="interpreter-unusable", what=text, where="interpreter", mend=mend)


def _unexplained(text: str) -> Problem:
    mend = "try again; if it stays so, report this text: the requirements need not be at fault"
    what = f"uv ended without a lock: {text or 'it said nothing'}"
    return Problem(code="lock-unexplained", what=what, where="uv", mend=mend)


def _corrupt(name: str, text: str) -> Problem:
    distribution = name.partition("-")[0]
    mend = (
        f"`fumehood wheelhouse verify {distribution}` names its digest; then "
        f"`fumehood wheelhouse remove SHA256`, and add a good copy: {adding(distribution)}"
    )
    what = f"{name} in the wheelhouse cannot be read: {text}"
    return Problem(code="corrupt-wheel", what=what, where=name, mend=mend)


def _direct(name: str, text: str) -> Problem:
    mend = f"add that wheel ({adding(name)}) and a release that asks for {name} by name and version"
    what = f"{name} is asked for by a direct URL, which is never followed: {text}"
    return Problem(code="direct-url", what=what, where=name, mend=mend)


def _why_closed(tried: Circumstances) -> str:
    decided = [d.why for d in tried.grant.decisions if d.about == "install-network"]
    return decided[0] if decided else "the network gate is closed"


def _bring(name: str, tried: Circumstances, *, requirement: str, wheel: str = "") -> str:
    target = tried.target
    return (
        f"add it: {adding(name, wheel=wheel)} (fetch it on a connected machine by "
        f"`fumehood wheelhouse mirror '{requirement or name}' --python {target.python_minor} "
        f"--platform {target.mirror_platform}`), or open the gate: {opening(name)}"
    )
