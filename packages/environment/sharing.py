"""Folders that environments share instead of each having its own.

    environments/.shared/<sha256>-<cache tag>/…    what one wheel brings below site-packages

A folder takes a block on disk (4 KB on ext4), though its files are only links: a hundred
environments took 40 % more than their wheels. So a folder that one wheel alone fills is made
once, and each environment has a link to it. The link is relative, and a cell has .shared beside
its environment as the host has, with those folders in it that its own environment links to.

A folder with shared libraries stays a folder: ld.so(8) looks for what $ORIGIN names from the
physical place of a library, and the library that it names may be in another wheel.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from packages.environment.linking import (
    Bunch,
    Damage,
    Damaged,
    Link,
    Plan,
    WheelFiles,
    and_parents,
    link_files,
    plan,
    site_packages_of,
)
from sandbox.command import Interpreter
from wheelhouse.durable import close_folders, flush_filesystem, folder_aside, remove_tree

PLACE = ".shared"
_LIBRARY = re.compile(r"\.(so|dylib|dll|pyd)(\.|$)")


def share(planned: Plan, *, names: Mapping[str, str], site: str) -> Plan:
    """Return the plan with links in place of the folders that only one wheel fills.

    `names` has the folder of each wheel in .shared.
    """
    owners: dict[str, set[str]] = {}
    with_libraries: set[str] = set()
    for bunch in _below_site(planned.bunches, site):
        has_library = any(_LIBRARY.search(file.name) for file in bunch.files)
        for folder in and_parents(bunch.target):
            owners.setdefault(folder, set()).add(bunch.wheel)
            if has_library:
                with_libraries.add(folder)
    fit = {
        path: min(wheels)
        for path, wheels in owners.items()
        if len(wheels) == 1 and path not in with_libraries and not path.endswith(".dist-info")
    }
    shared = [path for path in fit if not any(above in fit for above in and_parents(path)[1:])]
    links = (_link(fit[path], path, names=names, site=site) for path in sorted(shared))
    return _with_links(planned, tuple(links))


def place_shared(
    root: Path,
    links: Iterable[Link],
    *,
    wheels: Sequence[WheelFiles],
    names: Mapping[str, str],
    interpreter: Interpreter,
) -> None:
    """Make what `links` lead to below `root`, where it is new.

    Every file's size is looked at in any case. Raises Damaged, leaving nothing new.
    """
    damages: list[Damage] = []
    is_new = False
    with ExitStack() as fresh:
        for wheel in sorted({link.wheel for link in links}):
            folder = root / PLACE / names[wheel]
            bunches = _all_of(wheel, wheels, interpreter)
            if folder.is_dir():
                os.utime(folder)  # it is wanted, says this to whoever sweeps
                damages += _look(folder, bunches)
            else:
                is_new = True
                aside = fresh.enter_context(folder_aside(folder))
                damages += link_files(aside, _folders(bunches), bunches)
                close_folders(aside)
        if damages:
            raise Damaged(damages)
        if is_new:
            flush_filesystem(root)


def _all_of(
    wheel: str, wheels: Sequence[WheelFiles], interpreter: Interpreter
) -> tuple[Bunch, ...]:
    """Return all that one wheel brings below site-packages, its bytecode too."""
    whole = plan([one for one in wheels if one.name == wheel], interpreter=interpreter)
    return tuple(_below_site(whole.bunches, site_packages_of(interpreter)))


def forget_shared(root: Path, hex_digest: str) -> None:
    """Remove what environments below `root` share of a wheel, so that it is made anew."""
    for folder in (root / PLACE).glob(f"{hex_digest}-*"):
        folder.chmod(0o755)
        gone = folder.rename(folder.with_name(f".{folder.name}.gone"))
        remove_tree(gone)


def _below_site(bunches: Iterable[Bunch], site: str) -> Iterable[Bunch]:
    """Yield the bunches below site-packages, with targets below it."""
    for bunch in bunches:
        if bunch.target.startswith(f"{site}/"):
            yield replace(bunch, target=bunch.target[len(site) + 1 :])


def _link(wheel: str, path: str, *, names: Mapping[str, str], site: str) -> Link:
    up = "../" * (len(and_parents(path)) + len(and_parents(site)))
    return Link(wheel=wheel, target=f"{site}/{path}", to=f"{up}{PLACE}/{names[wheel]}/{path}")


def _with_links(planned: Plan, links: tuple[Link, ...]) -> Plan:
    linked = {link.target for link in links}

    def is_left(path: str) -> bool:
        return linked.isdisjoint(and_parents(path))

    return replace(
        planned,
        folders=tuple(folder for folder in planned.folders if is_left(folder)),
        bunches=tuple(bunch for bunch in planned.bunches if is_left(bunch.target)),
        links=links,
    )


def _folders(bunches: Iterable[Bunch]) -> list[str]:
    return sorted({folder for bunch in bunches for folder in and_parents(bunch.target)})


def _look(folder: Path, bunches: Iterable[Bunch]) -> list[Damage]:
    damages: list[Damage] = []
    for bunch in bunches:
        for file in bunch.files:
            path = f"{bunch.target}/{file.name}"
            try:
                size_bytes = os.stat(f"{folder}/{path}").st_size  # noqa: PTH116 – thousands
            except OSError:
                size_bytes = -1
            if size_bytes != file.size_bytes:
                damages.append(Damage(bunch.wheel, path))
    return damages
