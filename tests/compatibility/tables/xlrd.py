# /// script
# dependencies = ["xlrd", "xlwt"]
# ///

import xlrd, xlwt


def extract(*, job, **_):
    wb = xlwt.Workbook()
    s = wb.add_sheet("a")
    s.write(0, 0, "ü")
    s.write(1, 0, 2.5)
    wb.save(str(job.output_dir / "a.xls"))
    sh = xlrd.open_workbook(str(job.output_dir / "a.xls")).sheet_by_index(0)
    return [sh.cell_value(0, 0), sh.cell_value(1, 0)]
