"""Builds the documents that the examples read, with real libraries, from real texts.

    uv run --no-project --with openpyxl --with reportlab packages/examples/inputs/build.py

The workbook holds the release dates of CPython as people write them (title rows, blank
columns, dates of every kind); the PDF is the Apache licence, set with its outline.
"""

import re
from datetime import date
from pathlib import Path

from openpyxl import Workbook
from openpyxl.styles import Font
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

HERE = Path(__file__).parent
RELEASES = (
    ("3.8", date(2019, 10, 14), "Łukasz Langa", "2024-10-07", "PEP 569"),
    ("3.9", "October 5, 2020", "Łukasz Langa", date(2025, 10, 31), "PEP 596"),
    ("3.10", "04.10.2021", "Pablo Galindo Salgado", "October 2026", "PEP 619"),
    ("3.11", date(2022, 10, 24), "Pablo  Galindo Salgado", "10/31/2027", "PEP 664"),
    ("3.12", "2023-10-02", "Thomas Wouters", "31 October 2028", "PEP 693"),
    ("3.13", "Oct 7, 2024", "Thomas Wouters", date(2029, 10, 31), None),
    ("3.14", date(2025, 10, 7), "Hugo van Kemenade", "2030-10-31", "PEP 745"),
)


def main():
    """Write both documents beside this file."""
    workbook(HERE / "cpython-releases.xlsx")
    pdf(HERE.parents[2] / "LICENSE", HERE / "apache-license.pdf")


def workbook(path):
    """Write the messy workbook."""
    book = Workbook()
    sheet = book.active
    sheet.title = "Releases"
    sheet["A1"] = "CPython feature releases"
    sheet["A1"].font = Font(bold=True, size=14)
    sheet["A2"] = "from the release schedules (PEPs); dates as they were typed"
    titles = (None, "Version", None, "Released", "Release manager", None, "Supported until", "PEP")
    for column, title in enumerate(titles, start=1):
        sheet.cell(row=5, column=column, value=title)
    for row, (version, released, manager, until, pep) in enumerate(RELEASES, start=6):
        for column, value in ((2, version), (4, released), (5, manager), (7, until), (8, pep)):
            sheet.cell(row=row, column=column, value=value)
    sheet.cell(
        row=len(RELEASES) + 8, column=2, value="dates that are months only are to be checked"
    )
    book.create_sheet("Empty")
    book.save(path)


def pdf(source, path):
    """Set the licence, one outline entry for each numbered section."""
    styles = getSampleStyleSheet()
    story = []
    for block in re.split(r"\n\s*\n", source.read_text(encoding="utf-8")):
        text = " ".join(block.split())
        heading = re.match(r"(\d+\. [A-Z][\w ]+?)\.(?: |$)", text)
        if heading:
            story.append(Heading(heading[1], styles["Heading2"]))
        if text:
            story += [
                Paragraph(text.replace("&", "&amp;").replace("<", "&lt;"), styles["BodyText"])
            ]
            story += [Spacer(1, 6)]
    document = SimpleDocTemplate(
        str(path),
        pagesize=A4,
        title="Apache License 2.0",
        author="The Apache Software Foundation",
        invariant=1,
    )
    document.build(story)


class Heading(Paragraph):
    """A heading that the outline lists."""

    def __init__(self, text, style):
        super().__init__(text, style)
        self.title = text

    def draw(self):
        """Draw it, and add it to the outline."""
        self.canv.bookmarkPage(self.title)
        self.canv.addOutlineEntry(self.title, self.title, level=0)
        super().draw()


if __name__ == "__main__":
    main()
