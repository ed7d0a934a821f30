"""Finds the table in a sheet that people made for people."""

from dataclasses import dataclass, field
from datetime import date, datetime

from openpyxl import load_workbook
from openpyxl.utils import get_column_letter

DATE_FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%B %d, %Y", "%d %B %Y", "%b %d, %Y", "%m/%d/%Y", "%Y")


@dataclass
class Sheet:
    """One tidy table: `rows` has a value for each of `columns`."""

    name: str
    columns: list
    rows: list = field(default_factory=list)
    issues: list = field(default_factory=list)


def read_sheets(path):
    """Yield a Sheet for each sheet of the workbook that holds a table."""
    book = load_workbook(path, read_only=False, data_only=True)
    for worksheet in book.worksheets:
        grid = list(worksheet.iter_rows())
        header = find_header(grid)
        if header is not None:
            yield tidy(worksheet.title, grid, header)


def find_header(grid):
    """Return the index of the header: the first row as wide as the table, all of it text."""
    widths = [sum(cell.value is not None for cell in row) for row in grid]
    widest = max(widths, default=0)
    for index, row in enumerate(grid):
        values = [cell.value for cell in row if cell.value is not None]
        if widest > 1 and len(values) >= widest - 1 and all(isinstance(v, str) for v in values):
            return index
    return None


def tidy(name, grid, header):
    """Return the rows below the header, without blank columns, blank rows and totals."""
    kept = [cell.column for cell in grid[header] if cell.value is not None]
    titles = [snake(grid[header][column - 1].value) for column in kept]
    sheet = Sheet(name=name, columns=titles)
    for row in grid[header + 1 :]:
        cells = [row[column - 1] for column in kept]
        if sum(cell.value is not None for cell in cells) > 1:
            pairs = zip(titles, cells, strict=True)
            sheet.rows.append([read_cell(sheet, title, cell) for title, cell in pairs])
    return sheet


def read_cell(sheet, title, cell):
    """Return the value of a cell; dates as ISO 8601, numbers as numbers; note what resists."""
    value = cell.value
    if isinstance(value, (datetime, date)):
        return value.strftime("%Y-%m-%d")
    if isinstance(value, str):
        value = " ".join(value.split())
        if is_date_column(title):
            return read_date(sheet, cell, value)
        return value or None
    if value is None:
        note(sheet, cell, "the cell is empty")
    return value


def read_date(sheet, cell, text):
    """Return the date in `text` by the first format that fits."""
    for form in DATE_FORMATS:
        try:
            return datetime.strptime(text, form).strftime("%Y-%m-%d")
        except ValueError:
            continue
    note(sheet, cell, f"not a date: {text!r}")
    return None


def is_date_column(title):
    """Say whether a column's title promises dates."""
    return any(word in title.split("_") for word in ("date", "released", "until", "since"))


def note(sheet, cell, what):
    """Add an issue at this cell."""
    place = f"{get_column_letter(cell.column)}{cell.row}"
    sheet.issues.append({"sheet": sheet.name, "cell": place, "what": what})


def snake(title):
    """Return a title as a column name."""
    return "_".join("".join(c if c.isalnum() else " " for c in str(title)).lower().split())
