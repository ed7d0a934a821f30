"""From requirements to a lock, by the real uv; and what is said when there is none."""

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.index_server import index_of
from support.wheels import UPLOADED, make_wheel

from packages.bundle.manifest import Manifest
from packages.bundle.requirements import Requirements
from packages.errors import LockFailed, LockRefused
from packages.index.index import Index
from packages.interpreters import target_of
from packages.lock.grant import Ceiling, GateState, Grant, decide
from packages.lock.lock import diff, make_lock, read_lock
from packages.lock.locker import Locker
from packages.lock.policy import LockPolicy
from sandbox.command import Interpreter
from wheelhouse.store import Wheel, Wheelhouse

type Add = Callable[..., Wheel]
type Wants = Callable[[str], Requirements]


async def problems_of(
    locker: Locker, wanted: Requirements, interpreter: Interpreter, grant: Grant, **more: str
) -> dict[str, str]:
    """Return the codes of the problems that keep `wanted` from a lock, by place."""
    with pytest.raises((LockFailed, LockRefused)) as failed:
        await locker.lock(wanted, interpreter=interpreter, grant=grant, **more)  # type: ignore[arg-type]
    assert all(problem.mend and problem.what for problem in failed.value.problems)
    return {problem.where: problem.code for problem in failed.value.problems}


async def test_a_lock_names_each_wheel_with_its_digest_and_no_address(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    inner, outer = add("inner", "2.0"), add("outer", requires=["inner>=1"])
    locking = await locker.lock(wants("outer"), interpreter=interpreter, grant=closed)
    assert [(p.name, p.version, p.sha256) for p in locking.lock.packages] == [
        ("inner", "2.0", inner.sha256),
        ("outer", "1.0", outer.sha256),
    ]
    assert locking.source == "wheelhouse"
    assert "://" not in locking.lock.text
    assert str(locker.wheelhouse.root) not in locking.lock.text
    assert read_lock(locking.lock.text) == locking.lock
    assert read_lock(locking.lock.text).digest == locking.lock.digest


async def test_the_same_wheels_give_the_same_bytes_in_another_house(
    locker: Locker,
    add: Add,
    wants: Wants,
    interpreter: Interpreter,
    closed: Grant,
    tmp_path: Path,
) -> None:
    add("inner"), add("outer", requires=["inner"])
    other = Wheelhouse(tmp_path / "another" / "house")
    for wheel in reversed(list(locker.wheelhouse.wheels())):
        other.add(locker.wheelhouse.path(wheel), origin=UPLOADED)
    first = await locker.lock(wants("outer"), interpreter=interpreter, grant=closed)
    second = await replace(locker, wheelhouse=other).lock(
        wants("outer"), interpreter=interpreter, grant=closed
    )
    assert first.lock.text == second.lock.text


async def test_the_best_wheel_for_the_interpreter_is_locked(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    add("fast")
    tag = str(target_of(interpreter).tags[0])
    best = add("fast", tag=tag)
    add("fast", tag="cp39-cp39-win_amd64")
    locking = await locker.lock(wants("fast"), interpreter=interpreter, grant=closed)
    assert [p.wheel for p in locking.lock.packages] == [best.filename]


async def test_no_requirements_are_an_empty_lock(
    locker: Locker, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    locking = await locker.lock(wants(""), interpreter=interpreter, grant=closed)
    assert locking.lock.packages == ()
    assert read_lock(locking.lock.text) == locking.lock


async def test_a_yanked_wheel_is_avoided(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    add("demo", "1.0")
    locker.wheelhouse.yank(add("demo", "2.0"), reason="broken")
    locking = await locker.lock(wants("demo"), interpreter=interpreter, grant=closed)
    assert [p.version for p in locking.lock.packages] == ["1.0"]


async def test_constraints_bind_what_is_brought_along(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    add("inner", "1.0"), add("inner", "2.0"), add("outer", requires=["inner"])
    wanted = replace(wants("outer"), constraints=wants("inner<2").wanted)
    locking = await locker.lock(wanted, interpreter=interpreter, grant=closed)
    assert [p.version for p in locking.lock.packages] == ["1.0", "1.0"]


async def test_everything_that_is_missing_is_told_at_once_and_listed(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    add("outer", requires=["inner>=1", "deep"]), add("deep", requires=["deeper"])
    with pytest.raises(LockFailed) as failed:
        await locker.lock(wants("outer | absent==3"), interpreter=interpreter, grant=closed)
    told = {problem.where: problem for problem in failed.value.problems}
    assert {p.code for p in told.values()} == {"not-in-wheelhouse"}
    assert set(told) == {"absent", "inner", "deeper"}
    assert "which outer needs" in told["inner"].what
    assert f"Python {interpreter.version}" in told["inner"].what
    assert "tags tried: cp3" in told["inner"].what
    assert "the network gate is closed" in told["inner"].what
    assert "fumehood wheelhouse add inner-….whl" in told["inner"].mend
    assert "fumehood gate open --for 15m --reason 'install inner'" in told["inner"].mend
    assert locker.missing is not None
    listed = locker.missing.requirements()
    assert re.findall(r"^[a-z].*?(?=  #)", listed, re.MULTILINE) == [
        "absent==3",
        "deeper",
        "inner>=1",
    ]
    assert "fumehood wheelhouse mirror missing.txt --python 3." in listed
    add("inner")
    assert locker.missing.strike_off(locker.wheelhouse) == 1


async def test_a_version_that_is_not_there_is_told_with_what_is(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    add("demo", "1.0")
    with pytest.raises(LockFailed) as failed:
        await locker.lock(wants("demo>=2"), interpreter=interpreter, grant=closed)
    (problem,) = failed.value.problems
    assert (problem.code, problem.where) == ("no-version-satisfies", "demo")
    assert "demo-1.0-py3-none-any.whl" in problem.what


async def test_a_wheel_for_another_python_or_platform_is_told_with_the_tags(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    add("native", tag="cp36-cp36m-manylinux2014_ppc64le")
    with pytest.raises(LockFailed) as failed:
        await locker.lock(wants("native"), interpreter=interpreter, grant=closed)
    (problem,) = failed.value.problems
    assert problem.code == "wrong-python-or-platform"
    assert "native-1.0-cp36-cp36m-manylinux2014_ppc64le.whl" in problem.what
    assert "tags tried: cp3" in problem.what


async def test_a_wheel_that_refuses_this_python_is_told(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    """uv itself looks at lower bounds; the upper ones are ours to look at."""
    add("young", requires_python=">=99"), add("old", requires_python="<3")
    for name in ("young", "old"):
        told = await problems_of(locker, wants(name), interpreter, closed)
        assert told == {name: "wrong-python-or-platform"}


@pytest.mark.parametrize(
    "script",
    ["echo 'no libpython' >&2; exit 1", "echo '{}'", "kill -9 $$", None],
    ids=["exits", "says nonsense", "dies", "is gone"],
)
async def test_a_python_that_does_not_run_is_not_blamed_on_the_requirements(
    script: str | None,
    locker: Locker,
    add: Add,
    wants: Wants,
    interpreter: Interpreter,
    closed: Grant,
    tmp_path: Path,
) -> None:
    add("demo")
    python = tmp_path / "python3"
    if script is not None:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    with pytest.raises(LockFailed) as failed:
        broken = replace(interpreter, executable=python)
        await locker.lock(wants("demo"), interpreter=broken, grant=closed)
    (problem,) = failed.value.problems
    assert problem.code == "interpreter-unusable"
    assert str(python) in problem.what and "nothing is wrong with the requirements" in problem.mend


async def test_a_conflict_keeps_the_explanation_of_uv(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    add("inner", "1.0"), add("inner", "2.0")
    add("left", requires=["inner<2"]), add("right", requires=["inner>=2"])
    with pytest.raises(LockFailed) as failed:
        await locker.lock(wants("left | right"), interpreter=interpreter, grant=closed)
    (problem,) = failed.value.problems
    assert problem.code == "conflict"
    assert "left" in problem.what and "inner<2" in problem.what


async def test_a_hash_of_the_author_that_does_not_match_is_told_with_its_line(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    wheel = add("demo")
    good = wants(f"demo --hash={wheel.sha256}")
    await locker.lock(good, interpreter=interpreter, grant=closed)
    wrong = wants(f"demo --hash=sha256:{'0' * 64}")
    told = await problems_of(locker, wrong, interpreter, closed)
    assert told == {"requirements.txt:1": "hash-mismatch"}


async def test_a_dependency_by_direct_url_is_never_followed(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, opened: Grant
) -> None:
    add("outer", requires=["inner @ https://127.0.0.1:9/inner-1.0-py3-none-any.whl"])
    offline = replace(opened, install_network=False)
    told = await problems_of(locker, wants("outer"), interpreter, offline)
    assert told == {"inner": "direct-url"}


async def test_an_index_that_does_not_answer_is_told_without_its_password(
    locker: Locker, wants: Wants, interpreter: Interpreter, opened: Grant
) -> None:
    url = "http://127.0.0.1:9/simple"
    private = replace(locker, index=replace(locker.index, url=url, username="u", password="s3cret"))
    with pytest.raises(LockFailed) as failed:
        await private.lock(wants("demo"), interpreter=interpreter, grant=opened)
    (problem,) = failed.value.problems
    assert (problem.code, problem.where) == ("index-unreachable", url)
    assert "s3cret" not in str(failed.value) and "s3cret" not in repr(private)


async def test_an_install_that_requires_the_network_says_that_the_gate_is_closed(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    add("demo")
    told = await problems_of(locker, wants("demo"), interpreter, closed, network="required")
    assert list(told.values()) == ["gate-closed"]


async def test_a_corrupt_wheel_in_the_house_is_told(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    path = locker.wheelhouse.path(add("demo"))
    path.chmod(0o644)
    path.write_bytes(b"PK not a zip at all")
    told = await problems_of(locker, wants("demo"), interpreter, closed)
    assert told == {"demo": "corrupt-wheel"}
    path.unlink()
    told = await problems_of(locker, wants("demo"), interpreter, closed)
    assert told == {path.name: "corrupt-wheel"}


async def test_the_admins_lists_bind_every_lock(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    add("inner", "1.0"), add("outer", requires=["inner"])
    denying = replace(locker, policy=LockPolicy(deny=("Inner<2",)))
    assert await problems_of(denying, wants("outer"), interpreter, closed) == {
        "inner": "distribution-denied"
    }
    allowing = replace(locker, policy=LockPolicy(allow=("outer",)))
    assert await problems_of(allowing, wants("outer"), interpreter, closed) == {
        "inner": "distribution-denied"
    }
    add("inner", "2.0")
    locking = await denying.lock(wants("outer"), interpreter=interpreter, grant=closed)
    assert [p.version for p in locking.lock.packages] == ["2.0", "1.0"]


async def test_nothing_from_outside_leaks_into_a_lock(
    locker: Locker,
    add: Add,
    wants: Wants,
    interpreter: Interpreter,
    closed: Grant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every way in which uv or pip could be told of another place leads to a trap here."""
    trap = make_wheel(tmp_path / "trap", "demo", "9.0").parent
    outside = tmp_path / "outside"
    (outside / "uv").mkdir(parents=True)
    (outside / "pip").mkdir()
    (outside / "uv" / "uv.toml").write_text(f'find-links = ["{trap}"]\n')
    (outside / "pip" / "pip.conf").write_text(f"[global]\nfind-links = {trap}\n")
    (tmp_path / "uv.toml").write_text(f'find-links = ["{trap}"]\n')
    (outside / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    for name, value in {
        "HOME": outside,
        "XDG_CONFIG_HOME": outside,
        "UV_CONFIG_FILE": outside / "uv" / "uv.toml",
        "UV_FIND_LINKS": trap,
        "UV_DEFAULT_INDEX": trap,
        "UV_INDEX": trap,
        "UV_CONSTRAINT": "/nonexistent",
        "UV_EXCLUDE_NEWER": "2001-01-01",
        "UV_PRERELEASE": "allow",
        "PIP_FIND_LINKS": trap,
        "PIP_INDEX_URL": trap,
        "PIP_CONFIG_FILE": outside / "pip" / "pip.conf",
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(tmp_path)
    add("demo", "1.0"), add("demo", "2.0rc1")
    locking = await locker.lock(wants("demo"), interpreter=interpreter, grant=closed)
    assert [p.version for p in locking.lock.packages] == ["1.0"]


async def test_an_installer_dies_with_the_one_that_wanted_it(
    locker: Locker, wants: Wants, interpreter: Interpreter, opened: Grant
) -> None:
    """Cancel a lock while uv waits for an index that never answers: uv is gone at once."""

    async def never(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await asyncio.sleep(60)
        writer.close()

    arrived = asyncio.Event()
    server = await asyncio.start_server(never, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    slow = replace(locker, index=replace(locker.index, url=f"http://127.0.0.1:{port}/simple"))
    task = asyncio.create_task(slow.lock(wants("demo"), interpreter=interpreter, grant=opened))
    async with asyncio.timeout(20):
        await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.close()
    assert not [line for line in children() if "uv" in line]


def children() -> list[str]:
    """Return the command names of our child processes."""
    told = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [Path(f"/proc/{pid}/comm").read_text() for pid in told if Path(f"/proc/{pid}").exists()]


def test_a_diff_says_what_comes_goes_and_changes() -> None:
    before = read_lock(LOCK)
    after = make_lock(
        [replace(before.packages[0], version="2.0", wheel="a-2.0-py3-none-any.whl")],
        python_minor="3.12",
    )
    assert [(c.name, c.before, c.after) for c in diff(before, after)] == [
        ("a", "1.0", "2.0"),
        ("b", "1.0", ""),
    ]
    assert [(c.before, c.after) for c in diff(None, before)] == [("", "1.0"), ("", "1.0")]
    assert diff(before, before) == ()


HASHES = f'hashes = {{ sha256 = "{"a" * 64}" }}'
LOCK = f"""lock-version = "1.0"
created-by = "fumehood"
requires-python = "==3.12.*"

[[packages]]
name = "a"
version = "1.0"
wheels = [{{ path = "a-1.0-py3-none-any.whl", size = 1, {HASHES} }}]

[[packages]]
name = "b"
version = "1.0"
wheels = [{{ path = "b-1.0-py3-none-any.whl", size = 2, {HASHES} }}]
"""
FROM_A_REPOSITORY = """
[[packages]]
name = "v"
vcs = { type = "git", url = "https://example.invalid/v", commit-id = "0" }
"""
AS_SOURCE = f"""
[[packages]]
name = "s"
version = "1"
sdist = {{ url = "https://example.invalid/s-1.tar.gz", {HASHES} }}
"""


def author_lock(*wheels: Wheel, python: str = ">=3.9", extra: str = "") -> str:
    """Return a lock as an author's tool would write it, with addresses and all."""
    lines = ['lock-version = "1.0"', 'created-by = "uv"', f'requires-python = "{python}"']
    for wheel in wheels:
        url = f"https://example.invalid/{wheel.filename}"
        hashes = f'{{ sha256 = "{wheel.hex_digest}" }}'
        lines += ["[[packages]]", f'name = "{wheel.name}"', f'version = "{wheel.version}"']
        lines += [f'wheels = [{{ url = "{url}", hashes = {hashes} }}]']
    return "\n".join(lines) + extra


async def test_the_authors_lock_is_honoured_if_it_satisfies(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    old = add("demo", "1.0")
    add("demo", "2.0")
    locking = await locker.lock(
        wants("demo"), interpreter=interpreter, grant=closed, author_lock=author_lock(old)
    )
    assert [(p.version, p.sha256) for p in locking.lock.packages] == [("1.0", old.sha256)]
    assert "example.invalid" not in locking.lock.text


async def test_the_authors_lock_is_not_followed_to_the_addresses_in_it(
    locker: Locker, wants: Wants, interpreter: Interpreter, opened: Grant, tmp_path: Path
) -> None:
    """Which bytes, the author says; from where, the admin: here the gate leads to `theirs`."""
    theirs, trap = Wheelhouse(tmp_path / "theirs"), Wheelhouse(tmp_path / "trap")
    wheel = theirs.add(make_wheel(tmp_path, "demo"), origin=UPLOADED)
    trap.add(theirs.path(wheel), origin=UPLOADED, filename=wheel.filename)
    with index_of(theirs) as served, index_of(trap) as trapped:
        address = trapped.url.replace("/simple/", f"/files/{wheel.hex_digest}")
        text = author_lock(wheel).replace("https://example.invalid", address)
        through = replace(locker, index=Index(url=served.url))
        locking = await through.lock(
            wants("demo"), interpreter=interpreter, grant=opened, author_lock=text
        )
        assert [w.origin.index for w in locking.fetched] == [served.url]
        assert served.asked and not trapped.asked

        other = author_lock(replace(wheel, sha256=f"sha256:{'0' * 64}"))
        told = await problems_of(
            replace(through, wheelhouse=Wheelhouse(tmp_path / "empty")),
            wants("demo"),
            interpreter,
            opened,
            author_lock=other,
        )
        assert told == {"demo-1.0-py3-none-any.whl": "hash-mismatch"}


async def test_a_lock_that_leaves_out_what_its_wheels_need_is_refused(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    outer = add("outer", requires=["inner>=2", "more[fast]", "never; python_version < '3'"])
    inner, more = add("inner", "1.0"), add("more", requires=["rust; extra == 'fast'"])
    text = author_lock(outer, inner, more)
    with pytest.raises(LockFailed) as failed:
        await locker.lock(wants("outer"), interpreter=interpreter, grant=closed, author_lock=text)
    assert {(p.code, p.where) for p in failed.value.problems} == {
        ("lock-contradicts", "pylock.toml: inner"),
        ("lock-lacks", "pylock.toml: rust"),
    }


async def test_every_fault_of_the_authors_lock_is_told(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    demo, native = add("demo", "1.0"), add("native", tag="cp36-cp36m-win_amd64")
    text = author_lock(demo, native, python=">=4", extra=FROM_A_REPOSITORY + AS_SOURCE)
    with pytest.raises(LockRefused) as refused:
        await locker.lock(
            wants("demo>=2 | other"), interpreter=interpreter, grant=closed, author_lock=text
        )
    codes = sorted({p.code for p in refused.value.problems})
    assert codes == [
        "direct-url",
        "lock-contradicts",
        "lock-lacks",
        "source-only",
        "wrong-python-or-platform",
    ]


@pytest.mark.parametrize("text", ["not toml", "lock-version = 7", 'lock-version = "1.0"'])
async def test_a_file_that_is_no_lock_is_refused(
    text: str, locker: Locker, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    with pytest.raises(LockRefused) as refused:
        await locker.lock(wants("a"), interpreter=interpreter, grant=closed, author_lock=text)
    assert [p.code for p in refused.value.problems] == ["bad-lock"]


async def test_a_locked_wheel_with_another_digest_is_a_mismatch(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    wheel = add("demo")
    text = author_lock(replace(wheel, sha256=f"sha256:{'0' * 64}"))
    told = await problems_of(locker, wants("demo"), interpreter, closed, author_lock=text)
    assert told == {wheel.filename: "hash-mismatch"}


# What follows needs the registry.


@pytest.mark.network
async def test_what_came_through_the_gate_once_installs_again_with_the_gate_closed(
    locker: Locker, wants: Wants, interpreter: Interpreter, opened: Grant, closed: Grant
) -> None:
    first = await locker.lock(wants("requests"), interpreter=interpreter, grant=opened)
    again = await locker.lock(wants("requests"), interpreter=interpreter, grant=closed)
    assert first.source == "index" and again.source == "wheelhouse"
    assert again.lock.text == first.lock.text
    wheel = next(w for w in first.fetched if w.name == "requests")
    assert (wheel.origin.kind, wheel.origin.by, wheel.origin.note) == ("fetched", "ana", "tests")
    assert wheel.origin.index == "the default index"


@pytest.mark.network
async def test_a_gate_that_is_open_for_some_lets_no_others_through(
    locker: Locker, wants: Wants, interpreter: Interpreter, opened: Grant
) -> None:
    narrow = replace(opened, gate=replace(opened.gate, packages=("Requests", "idna", "certifi")))
    told = await problems_of(locker, wants("requests"), interpreter, narrow)
    assert told == {"charset-normalizer": "gate-closed", "urllib3": "gate-closed"}
    past = replace(opened, gate=replace(opened.gate, until=datetime(2020, 1, 1, tzinfo=UTC)))
    told = await problems_of(locker, wants("six"), interpreter, past)
    assert told == {"requirements.txt": "gate-closed"}


@pytest.mark.network
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("docopt==0.6.2", {"docopt": "source-only"}),
        ("fumehood-no-such-thing-at-all", {"fumehood-no-such-thing-at-all": "not-in-index"}),
        ("six>=99", {"six": "no-version-satisfies"}),
        ("requests==2.31.0 | urllib3<1.20", {"requirements.txt": "conflict"}),
    ],
)
async def test_what_the_index_cannot_give_is_told(
    text: str,
    told: dict[str, str],
    locker: Locker,
    wants: Wants,
    interpreter: Interpreter,
    opened: Grant,
) -> None:
    assert await problems_of(locker, wants(text), interpreter, opened) == told


@pytest.mark.network
async def test_a_cooldown_keeps_out_what_is_too_new_but_not_what_the_admin_added(
    locker: Locker, add: Add, wants: Wants, interpreter: Interpreter, opened: Grant
) -> None:
    add("private-thing", requires=["six"])
    cool = replace(locker, policy=LockPolicy(exclude_newer=datetime(2021, 1, 1, tzinfo=UTC)))
    locking = await cool.lock(wants("private-thing"), interpreter=interpreter, grant=opened)
    assert [(p.name, p.version) for p in locking.lock.packages] == [
        ("private-thing", "1.0"),
        ("six", "1.15.0"),
    ]


def test_a_manifest_may_refuse_the_network_for_itself() -> None:
    raw = {"schema": 1, "name": "demo", "version": "1.0", "network": {"install": "never"}}
    manifest = Manifest.model_validate(raw)
    gate = GateState(is_open=True, who="ana")
    grant = decide(manifest, ceiling=Ceiling(), gate=gate)
    assert not grant.install_network
    assert "the manifest refuses the network for its install" in grant.reasons
