"""A figure beside its baseline, judged by its goal, and how figures are told."""

import json
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure beside its baseline. `ok` says whether its goal is met, if it has one."""

    name: str
    value: float
    unit: str
    baseline: str
    baseline_value: float | None
    ratio: float | None
    goal: str
    ok: bool | None


def against(
    name: str, value: float, unit: str, *, baseline: str, than: float, most: float
) -> Figure:
    """Return a figure whose goal is to be at most `most` times its baseline."""
    ok = value / than <= most
    return _beside(name, value, unit, baseline, than, goal=f"ratio <= {most}", ok=ok)


def times(
    name: str, value: float, unit: str, *, baseline: str, than: float, least: float
) -> Figure:
    """Return a figure whose goal is to be at least `least` times its baseline."""
    ok = value / than >= least
    return _beside(name, value, unit, baseline, than, goal=f"ratio >= {least:g}", ok=ok)


def shown(name: str, value: float, unit: str, *, baseline: str, than: float) -> Figure:
    """Return a figure without a goal."""
    return _beside(name, value, unit, baseline, than, goal="shown", ok=None)


def alone(name: str, value: float, unit: str, *, most: float) -> Figure:
    """Return a figure whose goal is a number of its own."""
    return Figure(
        name=name,
        value=round(value, 3),
        unit=unit,
        baseline="",
        baseline_value=None,
        ratio=None,
        goal=f"<= {most} {unit}",
        ok=value <= most,
    )


def tell(title: str, figures: list[Figure], *, as_json: bool) -> bool:
    """Print the figures as a table or as JSON; say whether no goal is missed."""
    if as_json:
        print(json.dumps({"figures": [asdict(figure) for figure in figures]}, indent=2), flush=True)
    else:
        Console().print(_table(title, figures))
    return all(figure.ok is not False for figure in figures)


def _beside(
    name: str, value: float, unit: str, baseline: str, than: float, *, goal: str, ok: bool | None
) -> Figure:
    return Figure(
        name=name,
        value=round(value, 3),
        unit=unit,
        baseline=baseline,
        baseline_value=round(than, 3),
        ratio=round(value / than, 3),
        goal=goal,
        ok=ok,
    )


def _table(title: str, figures: list[Figure]) -> Table:
    table = Table(title=title)
    for column in ("figure", "value", "baseline", "ratio", "goal", ""):
        table.add_column(column)
    for figure in figures:
        beside = f"{figure.baseline_value} {figure.unit} ({figure.baseline})"
        table.add_row(
            figure.name,
            f"{figure.value} {figure.unit}",
            beside if figure.baseline else "",
            "" if figure.ratio is None else f"{figure.ratio}",
            figure.goal,
            {True: "✔", False: "✘", None: ""}[figure.ok],
        )
    return table
