"""Pages of an index, read and told again with no address but ours. Pure.

An index page is HTML (PEP 503) or JSON (PEP 691); uv is given JSON. What leads to where the index
may not lead is left out: uv would follow it, a `file://` of this host included, and say what
it found there.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping
from html.parser import HTMLParser
from typing import Any, cast
from urllib.parse import parse_qs, quote, unquote, urldefrag, urljoin, urlsplit

from frozen.values import frozen
from packages.index.leading import Leads

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
ACCEPT = f"{JSON_TYPE}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
MOST_FILES = 200_000
DIGEST = re.compile(r"[0-9a-f]{64}")
ALGORITHMS = ("sha256", "sha384", "sha512")


class UnreadableError(Exception):
    """A page is none that an index may have."""


@frozen
class Listing:
    """The files that a page lists, as PEP 691 has them; and why others were left out."""

    files: tuple[dict[str, Any], ...]
    left_out: tuple[str, ...]


def read_listing(content: bytes, *, media_type: str, url: str, leads: Leads) -> Listing:
    """Return what the page at `url` lists. Raises UnreadableError."""
    is_json = media_type.partition(";")[0].strip().endswith("json")
    found = list(_from_json(content) if is_json else _from_html(content))
    if len(found) > MOST_FILES:
        raise UnreadableError(f"it lists more than {MOST_FILES} files")
    kept: list[dict[str, Any]] = []
    left_out: dict[str, None] = {}
    for file in found:
        address, fragment = urldefrag(_joined(url, file["url"]))
        if why := leads.refusal(address) or leads.literal_refusal(address):
            left_out[why] = None
            continue
        hashes = {**_fragment_hashes(fragment), **file["hashes"]}
        name = file["filename"] or unquote(urlsplit(address).path.rpartition("/")[2])
        kept.append({**file, "filename": name, "url": address, "hashes": hashes})
    return Listing(files=tuple(kept), left_out=tuple(left_out))


def told_again(listing: Listing, *, name: str, address: Callable[[str, str], str]) -> bytes:
    """Return the page of `name` as uv is given it; `address` makes ours of (url, filename)."""
    files = [{**file, "url": address(file["url"], file["filename"])} for file in listing.files]
    told = {"meta": {"api-version": "1.1"}, "name": name, "versions": [], "files": files}
    return json.dumps(told).encode()


def address_at(base: str, url: str, filename: str) -> str:
    """Return the address below `base` by which `url` is asked for."""
    hidden = base64.urlsafe_b64encode(url.encode()).decode()
    return f"{base}/f/{hidden}/{quote(filename)}"


def address_within(path: str) -> tuple[str, str]:
    """Return (url, filename) that `address_at` put into `…/f/<hidden>/<filename>`."""
    _, _, rest = path.partition("/f/")
    hidden, _, filename = rest.partition("/")
    try:
        return base64.b64decode(hidden, altchars=b"-_", validate=True).decode(), unquote(filename)
    except (binascii.Error, UnicodeDecodeError) as error:
        raise UnreadableError("it is no address of ours") from error


def _joined(url: str, link: str) -> str:
    try:
        return urljoin(url, link)
    except ValueError as error:  # an IPv6 address that is none
        raise UnreadableError(f"a link is no address: {error}") from error


def _from_json(content: bytes) -> Iterable[dict[str, Any]]:
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"it is no JSON: {error}") from error
    files = cast("dict[str, object]", told).get("files") if isinstance(told, dict) else None
    if not isinstance(files, list):
        raise UnreadableError("it lists no files")
    for file in cast("list[object]", files):
        if not isinstance(file, dict):
            raise UnreadableError("a file in it is none")
        yield _file(cast("dict[str, object]", file))


def _file(told: Mapping[str, object]) -> dict[str, Any]:
    metadata = told.get("core-metadata", told.get("dist-info-metadata", False))
    yanked = told.get("yanked", False)
    file: dict[str, Any] = {
        "filename": _text(told.get("filename")),
        "url": _text(told.get("url")),
        "hashes": _hashes(told.get("hashes")),
        "core-metadata": _hashes(metadata) or bool(metadata),
        "yanked": yanked if isinstance(yanked, str) else bool(yanked),
    }
    for key, kind in (("requires-python", str), ("upload-time", str), ("size", int)):
        if isinstance(value := told.get(key), kind):
            file[key] = value
    return file


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _hashes(told: object) -> dict[str, str]:
    if not isinstance(told, dict):
        return {}
    pairs = cast("dict[object, object]", told)
    return {str(k): v for k, v in pairs.items() if k in ALGORITHMS and isinstance(v, str)}


def _fragment_hashes(fragment: str) -> dict[str, str]:
    told = {name: values[0] for name, values in parse_qs(fragment).items()}
    return _hashes(told)


class _Links(HTMLParser):
    """Gathers the links of a page with their attributes (PEP 503, 592, 658)."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[dict[str, str]] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "base" and not self.base:
            self.base = told.get("href", "")
        elif tag == "a" and "href" in told:
            self.found.append(told)


def _from_html(content: bytes) -> Iterable[dict[str, Any]]:
    links = _Links()
    links.feed(content.decode("utf-8", "replace"))
    for told in links.found:
        metadata = told.get("data-core-metadata", told.get("data-dist-info-metadata"))
        if metadata is not None and "=" in metadata:
            algorithm, _, digest = metadata.partition("=")
            given: object = _hashes({algorithm: digest}) or True
        else:
            given = metadata is not None and metadata != "false"
        yanked = told.get("data-yanked")
        yield _file(
            {
                "filename": "",
                "url": _joined(links.base, told["href"]) if links.base else told["href"],
                "hashes": {},
                "core-metadata": given,
                "yanked": False if yanked is None else yanked or True,
                **({"requires-python": p} if (p := told.get("data-requires-python")) else {}),
            }
        )
