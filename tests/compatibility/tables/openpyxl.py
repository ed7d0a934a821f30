# /// script
# dependencies = ["openpyxl"]
# ///

import openpyxl
from openpyxl.chart import BarChart, Reference


def extract(*, job, **_):
    wb = openpyxl.Workbook()
    ws = wb.active
    for r in range(1, 50):
        ws.append([r, r * r, "é"])
    c = BarChart()
    c.add_data(Reference(ws, min_col=2, min_row=1, max_row=10))
    ws.add_chart(c, "E2")
    p = job.output_dir / "a.xlsx"
    wb.save(p)
    return sum(
        r[1] for r in openpyxl.load_workbook(p, read_only=True).active.iter_rows(values_only=True)
    )
