"""The house as an index: what pip and uv are told, by PEP 503, 592, 658, 691 and 700."""

import hashlib
import re
from pathlib import Path

import pytest
from support.wheels import UPLOADED, make_wheel

from wheelhouse.index import (
    HTML_MEDIA_TYPE,
    JSON_MEDIA_TYPE,
    negotiate,
    project_html,
    project_json,
    root_html,
    root_json,
)
from wheelhouse.store import Wheelhouse


def test_both_forms_of_a_page_say_the_same(tmp_path: Path) -> None:
    house = Wheelhouse(tmp_path / "house")
    wheel = house.add(make_wheel(tmp_path, "demo", requires_python=">=3.9"), origin=UPLOADED)
    files = [wheel.index_file()]
    page = project_html("demo", files, address=lambda file: f"/files/{file.filename}")
    told = project_json("demo", files, address=lambda file: f"/files/{file.filename}")
    (file,) = told["files"]  # type: ignore[misc]
    metadata = house.path(wheel).with_name(f"{wheel.filename}.metadata").read_bytes()
    assert file["hashes"] == {"sha256": wheel.hex_digest}
    assert file["core-metadata"] == {"sha256": hashlib.sha256(metadata).hexdigest()}
    assert file["requires-python"] == ">=3.9"
    assert file["size"] == wheel.size_bytes
    assert told["versions"] == ["1.0"]
    assert f'href="/files/{wheel.filename}#sha256={wheel.hex_digest}"' in page
    assert 'data-requires-python="&gt;=3.9"' in page
    assert f'data-core-metadata="sha256={wheel.metadata_sha256}"' in page


def test_a_yanked_wheel_says_so_and_why(tmp_path: Path) -> None:
    house = Wheelhouse(tmp_path / "house")
    wheel = house.add(make_wheel(tmp_path, "demo"), origin=UPLOADED)
    yanked = house.yank(wheel, reason='broken "on" Mondays')
    page = (house.simple() / "demo" / "index.html").read_text()
    assert 'data-yanked="broken &quot;on&quot; Mondays"' in page
    told = project_json("demo", [yanked.index_file()], address=lambda file: file.filename)
    assert told["files"][0]["yanked"] == 'broken "on" Mondays'  # type: ignore[index]
    house.yank(yanked, reason=None)
    assert "data-yanked" not in (house.simple() / "demo" / "index.html").read_text()


def test_the_root_lists_every_project(tmp_path: Path) -> None:
    house = Wheelhouse(tmp_path / "house")
    for name in ("zeta", "Alpha"):
        house.add(make_wheel(tmp_path, name), origin=UPLOADED)
    assert re.findall(r'href="(\w+)/"', root_html(house.names())) == ["alpha", "zeta"]
    assert root_json(house.names())["projects"] == [{"name": "alpha"}, {"name": "zeta"}]


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        (f"{JSON_MEDIA_TYPE}, {HTML_MEDIA_TYPE}; q=0.1, text/html; q=0.01", JSON_MEDIA_TYPE),
        ("application/vnd.pypi.simple.latest+json", JSON_MEDIA_TYPE),
        (HTML_MEDIA_TYPE, HTML_MEDIA_TYPE),
        ("image/png", None),
    ],
)
def test_the_form_of_the_answer_is_what_was_asked_for(accept: str, answer: str | None) -> None:
    assert negotiate(accept) == answer
