# /// script
# dependencies = ["pymupdf"]
#
# [tool.compatibility]
# inputs = ["invoice-1.pdf"]
# ///

import pymupdf


def extract(*, job, **_):
    d = pymupdf.open(job.inputs[0])
    pm = d[0].get_pixmap(dpi=72)
    pm.save(job.output_dir / "p.png")
    t = d[0].find_tables()
    return {"t": d[0].get_text(), "n": [x.extract() for x in t.tables], "px": [pm.width, pm.height]}
