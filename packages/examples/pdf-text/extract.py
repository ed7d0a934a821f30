"""The entry point: PDF files in, for each a text file and its outline out."""

import json

from pypdf import PdfReader


def extract(*, job, **_):
    """Write `<name>.txt` and `<name>.outline.json` for each PDF; say how many pages had text."""
    documents = []
    for path in job.inputs:
        reader = PdfReader(path)
        pages = []
        for number, page in enumerate(reader.pages, start=1):
            pages.append(page.extract_text())
            job.progress(number, len(reader.pages), f"{path.name}, page {number}")
        (job.output_dir / f"{path.stem}.txt").write_text("\f".join(pages), encoding="utf-8")
        outline = list(headings(reader, reader.outline))
        (job.output_dir / f"{path.stem}.outline.json").write_text(
            json.dumps(outline, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        documents.append(
            {
                "name": path.name,
                "title": (reader.metadata or {}).get("/Title"),
                "pages": len(pages),
                "pages_with_text": sum(bool(text.strip()) for text in pages),
                "headings": len(outline),
            }
        )
    return {"documents": documents}


def headings(reader, entries, depth=0):
    """Yield the outline as flat entries with depth and page."""
    for entry in entries:
        if isinstance(entry, list):
            yield from headings(reader, entry, depth + 1)
        else:
            page = reader.get_destination_page_number(entry)
            yield {"title": entry.title, "depth": depth, "page": None if page is None else page + 1}
