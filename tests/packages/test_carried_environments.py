"""An environment is packed where it was built, and is the same elsewhere, or is refused."""

import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.locks import lock_of

from packages.environment.carried import LISTING, LISTING_JSON, Entry, Listing, SharedLink
from packages.environment.environment import Environment, Environments
from packages.environment.integrity import verify_environment
from packages.errors import CarriedRefused
from packages.lock.lock import Lock
from sandbox.command import Interpreter
from wheelhouse.store import Wheel, Wheelhouse

type Add = Callable[..., Wheel]
type Change = Callable[[Listing, dict[str, tarfile.TarInfo | bytes]], Listing | None]


def two_wheels(add: Add) -> Lock:
    """Return a lock of a wheel that fills a folder alone, and of two that share another."""
    demo = add("demo", files={"demo/__init__.py": b"X = 1\n", "demo/deep/data.txt": b"text"})
    first = add(
        "ns-one", files={"ns/one.py": b"ONE = 1\n", "ns_one-1.0.data/scripts/one": b"#!python\n"}
    )
    return lock_of(demo, first, add("ns-two", files={"ns/two.py": b"TWO = 2\n"}))


def seen_in(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Return what there is in a folder: kinds, permissions and bytes."""
    found: dict[str, tuple[str, bytes]] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = ("link", os.fsencode(path.readlink()))
        elif path.is_dir():
            found[name] = (f"folder {path.stat().st_mode:o}", b"")
        else:
            found[name] = (f"file {path.stat().st_mode:o}", path.read_bytes())
    return found


@pytest.fixture
async def built(
    environments: Environments, add: Add, interpreter: Interpreter
) -> tuple[Environment, Lock]:
    lock = two_wheels(add)
    return await environments.ensure(lock, interpreter=interpreter), lock


@pytest.fixture
def elsewhere(environments: Environments, tmp_path: Path) -> Environments:
    """The environments of another host, which has no wheels."""
    return replace(environments, root=tmp_path / "elsewhere" / "environments")


async def test_what_is_laid_out_elsewhere_is_the_same_to_the_last_byte(
    built: tuple[Environment, Lock],
    environments: Environments,
    elsewhere: Environments,
    interpreter: Interpreter,
    tmp_path: Path,
) -> None:
    one, lock = built
    digests = [await environments.pack(one.key, to=tmp_path / name) for name in ("a", "b")]
    assert digests[0] == digests[1]
    inventory = environments.inventory(one.key)
    await elsewhere.adopt(tmp_path / "a", lock, interpreter=interpreter, inventory=inventory)
    there = elsewhere.folder(one.key)
    assert seen_in(there) == seen_in(one.folder)
    assert seen_in(there.parent / ".shared") == seen_in(one.folder.parent / ".shared")
    assert not list(there.parent.glob(".carried*")) and inventory.shared
    again = await elsewhere.ensure(lock, interpreter=interpreter)
    assert again.is_reused
    house = environments.builder.wheelhouse
    assert verify_environment(there, wheelhouse=house, is_full=True) == []
    nothing = Wheelhouse(tmp_path / "no-wheels")
    assert verify_environment(there, wheelhouse=nothing, is_full=True) == [], (
        "it has no wheels there"
    )


def packed_with(packed: Path, to: Path, change: Change) -> Path:
    """Write a tar as `packed` is, but for what `change` does to its listing and its files."""
    files: dict[str, tarfile.TarInfo | bytes] = {}
    with tarfile.open(packed) as archive:
        for member in archive:
            file = archive.extractfile(member)
            files[member.name] = file.read() if file else b""
    told = files.pop(LISTING)
    assert isinstance(told, bytes)
    listing = LISTING_JSON.validate_json(told)
    listing = change(listing, files) or listing
    with tarfile.open(to, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in {LISTING: LISTING_JSON.dump_json(listing), **files}.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return to


def a_file(files: dict[str, tarfile.TarInfo | bytes]) -> str:
    return next(name for name in files if name.endswith("data.txt"))


def other_bytes(_: Listing, files: dict[str, tarfile.TarInfo | bytes]) -> None:
    files[a_file(files)] = b"tex!"


def more_bytes(_: Listing, files: dict[str, tarfile.TarInfo | bytes]) -> None:
    files[a_file(files)] = b"text and more"


def one_file_more(_: Listing, files: dict[str, tarfile.TarInfo | bytes]) -> None:
    files["environment/lib/more.py"] = b"import os\n"


def one_file_less(_: Listing, files: dict[str, tarfile.TarInfo | bytes]) -> None:
    files.pop(a_file(files))


def a_listed_file_more(listing: Listing, files: dict[str, tarfile.TarInfo | bytes]) -> Listing:
    files["environment/lib/more.py"] = b""
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    more = Entry("environment/lib/more.py", 0, digest, is_program=False)
    return replace(listing, entries=(*listing.entries, more))


def outside(listing: Listing, files: dict[str, tarfile.TarInfo | bytes]) -> Listing:
    name = a_file(files)
    files["environment/../../../outside.txt"] = files.pop(name)
    entries = tuple(
        replace(one, path="environment/../../../outside.txt") if one.path == name else one
        for one in listing.entries
    )
    return replace(listing, entries=entries)


def a_symlink(_: Listing, files: dict[str, tarfile.TarInfo | bytes]) -> None:
    name = a_file(files)
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    files[name] = link


def a_hard_link(listing: Listing, files: dict[str, tarfile.TarInfo | bytes]) -> Listing:
    name = a_file(files)
    files.pop(name)
    entries = tuple(
        replace(one, same_as="/etc/passwd") if one.path == name else one for one in listing.entries
    )
    return replace(listing, entries=entries)


def a_link_elsewhere(listing: Listing, _: dict[str, tarfile.TarInfo | bytes]) -> Listing:
    leads = SharedLink(listing.links[0].path, "../../../..", "etc")
    return replace(listing, links=(leads, *listing.links[1:]))


def no_listing(_: Listing, files: dict[str, tarfile.TarInfo | bytes]) -> None:
    files.clear()


@pytest.mark.parametrize(
    "change",
    [
        *(other_bytes, more_bytes, one_file_more, one_file_less, a_listed_file_more),
        *(outside, a_symlink, a_hard_link, a_link_elsewhere, no_listing),
    ],
)
async def test_what_is_not_what_was_packed_is_refused_and_leaves_nothing(
    built: tuple[Environment, Lock],
    environments: Environments,
    elsewhere: Environments,
    interpreter: Interpreter,
    tmp_path: Path,
    *,
    change: Change,
) -> None:
    one, lock = built
    packed = tmp_path / "packed.tar"
    await environments.pack(one.key, to=packed)
    altered = packed_with(packed, tmp_path / "altered.tar", change)
    inventory = environments.inventory(one.key)
    with pytest.raises(CarriedRefused) as told:
        await elsewhere.adopt(altered, lock, interpreter=interpreter, inventory=inventory)
    assert told.value.problems[0].what
    left = [path for path in elsewhere.root.rglob("*") if path.is_file()]
    assert [path.parent.name for path in left] == [".locks"]
    assert not list(tmp_path.rglob("outside.txt"))


async def test_what_is_no_tar_is_refused(
    built: tuple[Environment, Lock],
    environments: Environments,
    elsewhere: Environments,
    interpreter: Interpreter,
    tmp_path: Path,
) -> None:
    one, lock = built
    whole = tmp_path / "whole.tar"
    await environments.pack(one.key, to=whole)
    for content in (b"", b"no tar", whole.read_bytes()[: 10 * 512], whole.read_bytes()[:-20_000]):
        packed = tmp_path / "packed.tar"
        packed.write_bytes(content)
        with pytest.raises(CarriedRefused):
            await elsewhere.adopt(
                packed, lock, interpreter=interpreter, inventory=environments.inventory(one.key)
            )
