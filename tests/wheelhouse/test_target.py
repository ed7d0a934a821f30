"""Targets say what a Python on a platform accepts, as an installer would."""

import platform

import packaging.tags
import pytest
from packaging.requirements import Requirement

from wheelhouse.metadata.target import make_target, platforms_of


def test_the_running_python_accepts_what_packaging_says() -> None:
    assert list(make_target(platform.python_version()).tags) == list(packaging.tags.sys_tags())


def test_a_platform_stands_for_all_older_ones() -> None:
    platforms = platforms_of("manylinux_2_28_x86_64")
    assert platforms[0] == "manylinux_2_28_x86_64"
    assert {"manylinux2014_x86_64", "manylinux_2_17_x86_64", "linux_x86_64"} <= set(platforms)
    assert "manylinux_2_31_x86_64" not in platforms
    assert platforms_of("musllinux_1_2_aarch64")[0] == "musllinux_1_2_aarch64"
    assert platforms_of("win_amd64") == ["win_amd64"]


@pytest.mark.parametrize(
    ("filename", "fits"),
    [
        ("a-1.0-py3-none-any.whl", True),
        ("a-1.0-cp311-cp311-manylinux_2_17_aarch64.whl", True),
        ("a-1.0-cp39-abi3-manylinux_2_28_aarch64.whl", True),
        ("a-1.0-cp312-cp312-manylinux_2_17_aarch64.whl", False),
        ("a-1.0-cp311-cp311-manylinux_2_31_aarch64.whl", False),
        ("a-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", False),
        ("a-1.0-cp311-cp311-win_amd64.whl", False),
    ],
)
def test_a_wheel_fits_or_not(filename: str, fits: bool) -> None:  # noqa: FBT001
    platforms = platforms_of("manylinux_2_28_aarch64")
    target = make_target("3.11", platforms=platforms)
    assert (target.rank(filename) is not None) is fits


def test_the_best_wheel_is_the_closest() -> None:
    target = make_target("3.12", platforms=platforms_of("manylinux_2_28_x86_64"))
    names = ["a-1-py3-none-any.whl", "a-1-cp312-cp312-manylinux_2_17_x86_64.whl"]
    assert target.best(names) == names[1]
    assert target.best(["a-1-cp313-cp313-win_amd64.whl"]) is None


def test_markers_are_those_of_the_target_and_not_of_this_python() -> None:
    target = make_target("3.9", platforms=["manylinux_2_17_aarch64"])
    assert target.holds(Requirement("a; python_version < '3.10'").marker)
    assert target.holds(Requirement("a; platform_machine == 'aarch64'").marker)
    assert not target.holds(Requirement("a; extra == 'x'").marker)
    assert target.holds(Requirement("a; extra == 'x'").marker, extras=["x"])
