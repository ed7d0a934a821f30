"""The dashboard and the alert rules name what a live appliance exposes, and parse as PromQL."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from ..conftest import Server

PROJECT = Path(__file__).parents[3]
FOLDER = PROJECT / "docs/observability"
OF_PROMETHEUS = {"up"}
"""What Prometheus says of a scrape itself, with the labels of its configuration."""
type Exposed = dict[str, dict[str, set[str]]]
"""The names of samples, and of each the values of its labels."""


@pytest.fixture(scope="module")
def exposed(counting: Server) -> Exposed:
    counting.ended(counting.submit("counts-words", files={"a.txt": b"one"}).json()["id"])
    found: Exposed = {}
    for family in text_string_to_metric_families(counting.http.get("/metrics").text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


def dashboard() -> Any:
    return json.loads((FOLDER / "grafana.json").read_text())


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    return group["rules"]


def expressions() -> Iterator[tuple[str, str]]:
    """Yield each expression as Prometheus is asked it, with where it stands."""
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "5m")
            yield panel["title"], expression.replace("$package", ".*")
    for rule in rules():
        yield rule["alert"], rule["expr"]


def selectors(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each name in an expression, with the labels that are to be equal to something."""

    def walk(one: Any) -> Iterator[Any]:
        if isinstance(one, promql_parser.VectorSelector):
            yield one
        for part in ("expr", "lhs", "rhs", "vector_selector"):
            if (below := getattr(one, part, None)) is not None:
                yield from walk(below)
        for below in getattr(one, "args", ()):
            yield from walk(below)

    for one in walk(promql_parser.parse(text)):
        matchers = one.matchers.matchers
        yield (
            str(one.name),
            {
                matcher.name: matcher.value
                for matcher in matchers
                if matcher.op == promql_parser.MatchOp.Equal
            },
        )


@pytest.mark.parametrize(("place", "text"), list(expressions()), ids=lambda one: one[:30])
def test_an_expression_names_what_is_exposed(exposed: Exposed, place: str, text: str) -> None:
    found = list(selectors(text))
    assert found
    grouped = {name for by in re.findall(r"by \(([^)]*)\)", text) for name in by.split(", ")}
    known: set[str] = set()
    for name, wanted in found:
        if name in OF_PROMETHEUS:
            continue
        assert name in exposed, (place, name)
        labels = exposed[name]
        known |= set(labels)
        for label, value in wanted.items():
            told = labels[label]
            assert value in told or (name, label) == ("fumehood_jobs_total", "state"), (label, told)
    assert grouped <= known | {"le"}, place


def test_what_a_legend_or_a_summary_names_is_in_the_result() -> None:
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), panel["title"]
    for rule in rules():
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            assert re.search(rf"by \([^)]*\b{label}\b", rule["expr"]), rule["alert"]


def test_every_rule_says_how_grave_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    page = (PROJECT / "docs/observability.md").read_text()
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"] and rule["annotations"]["what_to_do"]
        assert f"`{rule['alert']}`" in page, rule["alert"]


def test_panels_have_their_own_places_and_numbers() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


def test_every_metric_is_on_the_page() -> None:
    from runtime.telemetry.names import METRICS

    page = (PROJECT / "docs/observability.md").read_text()
    suffix = {"counter": "_total"}
    for name, metric in METRICS.items():
        assert f"`fumehood_{name}{suffix.get(metric.kind, '')}" in page, name


def test_a_wheel_carries_the_files() -> None:
    import tomllib

    build = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    shared = build["targets"]["wheel"]["shared-data"]
    assert shared == {"docs/observability": "share/fumehood/observability"}
