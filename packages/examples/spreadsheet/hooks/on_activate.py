"""Proves that the installed libraries can do the job before this version goes live."""

from tempfile import TemporaryDirectory

from openpyxl import Workbook, load_workbook


def run(*, context, **_):
    """Write a workbook and read it back."""
    with TemporaryDirectory() as folder:
        path = f"{folder}/probe.xlsx"
        book = Workbook()
        book.active["A1"] = "probe"
        book.save(path)
        if load_workbook(path).active["A1"].value != "probe":
            raise RuntimeError("openpyxl does not read back what it wrote")
    context.log("openpyxl reads what it writes")
    return {"notes": "activation probe passed"}
