"""Frozen values are what dataclasses makes of the same class, in all that anybody can see."""

import copy
import pickle
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from frozen.values import changed, frozen

PROJECT = Path(__file__).parents[2]
BY_HAND = "@dataclass(frozen=True, slots=True, kw_only=True)"


@frozen
class Step:
    name: str
    at: int = 0
    tags: list[str] = field(default_factory=list)
    secret: str = field(default="", repr=False)
    noise: float = field(default=0.0, compare=False)
    made: list[int] = field(default_factory=lambda: [1], init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    name: str
    at: int = 0
    tags: list[str] = field(default_factory=list)
    secret: str = field(default="", repr=False)
    noise: float = field(default=0.0, compare=False)
    made: list[int] = field(default_factory=lambda: [1], init=False)


@frozen
class Nothing:
    pass


@frozen
class Checked:
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("upside down")


@frozen
class Wider(Checked):
    middle: int = 5


@frozen
class Cell[T]:
    holds: T


@frozen
class Named:
    """One that says itself how it is shown, and what it is equal to."""

    name: str

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def __eq__(self, other: object) -> bool:
        return str(other) == str(self)

    def __hash__(self) -> int:
        return 7


def outcome(act: Callable[[], Any]) -> Any:
    """Return what came of `act`, as anybody can see it, whichever class it was about."""
    try:
        return re.sub("Step|Twin", "X", repr(act()))
    except Exception as error:
        return type(error), re.sub("Step|Twin", "X", str(error))


@pytest.mark.parametrize(
    "act",
    [
        lambda kind: kind(name="a"),
        lambda kind: kind(name="a", at=1, tags=["x"], secret="s", noise=2.0),
        lambda kind: kind(),
        lambda kind: kind("a"),
        lambda kind: kind(name="a", made=[2]),
        lambda kind: kind(name="a", other=1),
        lambda kind: kind(name="a") == kind(name="a", noise=1.0),
        lambda kind: kind(name="a") == kind(name="b"),
        lambda kind: kind(name="a") == ("a", 0, [], "", 0.0, [1]),
        lambda kind: kind(name="a").tags is kind(name="a").tags,
        lambda kind: hash(kind(name="a")),
        lambda kind: setattr(kind(name="a"), "name", "b"),
        lambda kind: delattr(kind(name="a"), "name"),
        lambda kind: vars(kind(name="a")),
        lambda kind: replace(kind(name="a"), at=3),
        lambda kind: replace(kind(name="a"), made=[]),
        lambda kind: asdict(kind(name="a", tags=["x"])),
        lambda kind: [(one.name, one.init, one.kw_only) for one in fields(kind)],
        lambda kind: copy.copy(kind(name="a", tags=["x"])),
        lambda kind: copy.deepcopy(kind(name="a", tags=["x"])),
        lambda kind: pickle.loads(pickle.dumps(kind(name="a", at=4))),
        lambda kind: TypeAdapter(kind).validate_json('{"name": "a", "at": 3}'),
        lambda kind: TypeAdapter(kind).dump_python(kind(name="a"), mode="json"),
        lambda kind: TypeAdapter(kind).json_schema(),
        lambda kind: kind.__match_args__,
        lambda kind: kind.__slots__,
    ],
)
def test_it_does_what_a_dataclass_does(act: Callable[[Any], Any]) -> None:
    assert outcome(lambda: act(Step)) == outcome(lambda: act(Twin))


def test_nothing_of_it_can_be_changed() -> None:
    one = Checked(low=1, high=2)
    for change in (
        lambda: setattr(one, "low", 3),
        lambda: setattr(one, "other", 3),
        lambda: delattr(one, "low"),
    ):
        with pytest.raises(FrozenInstanceError):
            change()
    assert one == Checked(low=1, high=2)
    assert len({one, Checked(low=1, high=2)}) == 1


def test_what_a_class_checks_is_checked_also_for_those_that_extend_it() -> None:
    with pytest.raises(ValueError, match="upside down"):
        Checked(low=2, high=1)
    with pytest.raises(ValueError, match="upside down"):
        Wider(low=2, high=1)
    assert repr(Wider(low=1, high=2)) == "Wider(low=1, high=2, middle=5)"
    assert Wider(low=1, high=2) != Checked(low=1, high=2)


def test_one_without_fields_is_equal_to_any_other_of_its_class() -> None:
    assert Nothing() == Nothing()
    assert repr(Nothing()) == "Nothing()"


def test_what_a_class_says_itself_stays() -> None:
    assert repr(Named(name="a")) == "<a>"
    assert Named(name="a") == "<a>"
    assert hash(Named(name="a")) == 7


def test_a_generic_one_is_read_as_what_it_holds() -> None:
    assert TypeAdapter(Cell[int]).validate_python({"holds": "3"}) == Cell(holds=3)
    with pytest.raises(ValidationError):
        TypeAdapter(Cell[int]).validate_python({"holds": "three"})


def test_values_of_ours_are_made_that_way() -> None:
    """0.7 ms of each start for each that is not."""
    by_hand = [
        str(path.relative_to(PROJECT))
        for room in ("runtime", "packages", "sandbox", "wheelhouse")
        for path in (PROJECT / room).rglob("*.py")
        if BY_HAND in path.read_text(encoding="utf-8")
    ]
    assert not by_hand


@frozen
class Counted:
    kept: int
    left: list[int] = field(default_factory=list[int])
    seen: str = field(default="", compare=False)


@frozen
class Judged:
    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError(self.number)


def test_a_copy_has_other_content_where_that_is_said_and_the_same_elsewhere() -> None:
    one = Counted(kept=1, left=[1], seen="s")
    other = changed(one, kept=2)
    assert other == replace(one, kept=2) and type(other) is Counted
    assert (other.left is one.left, other.seen, one.kept) == (True, "s", 1)
    assert changed(one) == one and changed(one) is not one
    with pytest.raises(FrozenInstanceError):
        other.kept = 3


def test_a_copy_takes_no_field_that_there_is_not() -> None:
    with pytest.raises(TypeError):
        changed(Counted(kept=1), keep=2)


def test_what_is_judged_as_it_is_made_is_not_copied_past_that() -> None:
    with pytest.raises(TypeError, match=r"dataclasses\.replace"):
        changed(Judged(number=1), number=-1)


def test_a_field_that_does_not_count_makes_no_difference() -> None:
    assert Counted(kept=1, seen="a") == Counted(kept=1, seen="b")
    assert Counted(kept=1) != Counted(kept=2)
    assert hash(Judged(number=1)) == hash(Judged(number=1))
