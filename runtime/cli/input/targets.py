"""For which Pythons and platforms: as options say it, and what is none of these."""

import re
from collections.abc import Sequence
from typing import Annotated

import typer

from wheelhouse.metadata.target import Target, make_target, platforms_of

DEFAULT_PLATFORM = "manylinux_2_28_x86_64"
PYTHON = re.compile(r"3\.\d{1,2}(\.\d{1,2})?")
PLATFORM = re.compile(r"((manylinux|musllinux)_\d+_\d+|manylinux2014|linux)_(x86_64|aarch64)")


def _pythons(given: list[str] | None) -> list[str] | None:
    for one in given or ():
        if not PYTHON.fullmatch(one):
            raise typer.BadParameter(f"{one!r} is not a version of CPython, such as 3.12")
    return given


def _platforms(given: list[str] | None) -> list[str] | None:
    for one in given or ():
        if not PLATFORM.fullmatch(one):
            raise typer.BadParameter(
                f"{one!r} is not a platform of Linux, such as {DEFAULT_PLATFORM}, "
                "musllinux_1_2_aarch64 or linux_x86_64"
            )
    return given


Pythons = Annotated[
    list[str] | None,
    typer.Option("--python", help="For this Python, such as 3.12; repeatable.", callback=_pythons),
]
Platforms = Annotated[
    list[str] | None,
    typer.Option(
        "--platform",
        help=f"On this platform ({DEFAULT_PLATFORM}); repeatable.",
        callback=_platforms,
    ),
]


def targets_of(pythons: Sequence[str], platforms: Sequence[str]) -> list[Target]:
    """Return each Python on each platform."""
    return [
        make_target(python, platforms=platforms_of(platform), platform=platform)
        for python in pythons
        for platform in platforms or [DEFAULT_PLATFORM]
    ]
