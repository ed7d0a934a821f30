# /// script
# dependencies = ["xlsxwriter", "openpyxl"]
# ///

import xlsxwriter, openpyxl


def extract(*, job, **_):
    p = job.output_dir / "a.xlsx"
    wb = xlsxwriter.Workbook(p)
    ws = wb.add_worksheet()
    ws.write_row(0, 0, [1, 2, 3])
    ws.write_formula("D1", "=SUM(A1:C1)", value=6)
    wb.close()
    wb = xlsxwriter.Workbook(job.output_dir / "big.xlsx", {"constant_memory": True})
    ws = wb.add_worksheet()
    for i in range(2000):
        ws.write(i, 0, i)
    wb.close()
    return [c.value for c in openpyxl.load_workbook(p, data_only=True).active[1]]
