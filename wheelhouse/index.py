"""The house as a package index: pages of PEP 503 (HTML) and PEP 691 (JSON), pure functions.

The same renderer makes the pages that `/simple/` serves and the folder that uv reads from
disk: with digests and metadata at hand, uv need not hash 50 MB of wheels to lock them
(50 ms against 900 ms for numpy, pandas and pyarrow on two cores).
"""

import html
from collections.abc import Callable, Iterable
from urllib.parse import quote

from frozen.values import frozen

API_VERSION = "1.1"
JSON_MEDIA_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_MEDIA_TYPE = "application/vnd.pypi.simple.v1+html"


@frozen
class IndexFile:
    """One line of a project's page. `sha256` and `metadata_sha256` are bare hex digests."""

    filename: str
    sha256: str
    size_bytes: int
    requires_python: str
    metadata_sha256: str
    yanked: str | None
    """The reason for which the file was yanked ("" is one too); None where it was not."""
    uploaded_at: str


type Address = Callable[[IndexFile], str]


def negotiate(accept: str) -> str | None:
    """Return the media type to answer an Accept header with; None where none is acceptable."""
    offers = [part.split(";")[0].strip() for part in accept.split(",") if part.strip()]
    for offer in offers:
        if offer in (JSON_MEDIA_TYPE, "application/vnd.pypi.simple.latest+json"):
            return JSON_MEDIA_TYPE
        if offer in (HTML_MEDIA_TYPE, "application/vnd.pypi.simple.latest+html"):
            return HTML_MEDIA_TYPE
        if offer in ("text/html", "*/*", "text/*"):
            return "text/html"
    return None if offers else "text/html"


def root_html(names: Iterable[str]) -> str:
    """Return the page that lists all projects."""
    return _page("Simple index", (f'<a href="{quote(n)}/">{html.escape(n)}</a>' for n in names))


def root_json(names: Iterable[str]) -> dict[str, object]:
    """Return the same by PEP 691."""
    return {"meta": {"api-version": API_VERSION}, "projects": [{"name": name} for name in names]}


def project_html(name: str, files: Iterable[IndexFile], *, address: Address) -> str:
    """Return the page of one project; `address` gives each file's URL, without fragment."""
    return _page(f"Links for {name}", (_anchor(file, address(file)) for file in files))


def project_json(name: str, files: Iterable[IndexFile], *, address: Address) -> dict[str, object]:
    """Return the same by PEP 691 (with PEP 700's versions, sizes and times)."""
    listed = list(files)
    return {
        "meta": {"api-version": API_VERSION},
        "name": name,
        "versions": sorted({file.filename.split("-")[1] for file in listed}),
        "files": [_file_json(file, address(file)) for file in listed],
    }


def _file_json(file: IndexFile, url: str) -> dict[str, object]:
    metadata = {"sha256": file.metadata_sha256}
    return {
        "filename": file.filename,
        "url": url,
        "hashes": {"sha256": file.sha256},
        "size": file.size_bytes,
        "upload-time": file.uploaded_at,
        "core-metadata": metadata,
        "data-dist-info-metadata": metadata,
        "yanked": False if file.yanked is None else (file.yanked or True),
        **({"requires-python": file.requires_python} if file.requires_python else {}),
    }


def _anchor(file: IndexFile, url: str) -> str:
    attributes = {
        "href": f"{url}#sha256={file.sha256}",
        "data-core-metadata": f"sha256={file.metadata_sha256}",
        "data-dist-info-metadata": f"sha256={file.metadata_sha256}",
    }
    if file.requires_python:
        attributes["data-requires-python"] = file.requires_python
    if file.yanked is not None:
        attributes["data-yanked"] = file.yanked
    text = " ".join(f'{key}="{html.escape(value)}"' for key, value in attributes.items())
    return f"<a {text}>{html.escape(file.filename)}</a>"


def _page(title: str, lines: Iterable[str]) -> str:
    body = "".join(f"{line}<br/>\n" for line in lines)
    return (
        "<!DOCTYPE html>\n<html><head>"
        '<meta name="pypi:repository-version" content="1.1">'
        f"<title>{html.escape(title)}</title></head><body>\n{body}</body></html>\n"
    )
