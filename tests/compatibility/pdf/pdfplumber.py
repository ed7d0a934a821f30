# /// script
# dependencies = ["pdfplumber"]
#
# [tool.compatibility]
# inputs = ["invoice-1.pdf"]
# ///

import pdfplumber


def extract(*, job, **_):
    with pdfplumber.open(job.inputs[0]) as p:
        t = p.pages[0].extract_table()
        im = p.pages[0].to_image(resolution=72)
        im.save(job.output_dir / "p.png")
    return t
