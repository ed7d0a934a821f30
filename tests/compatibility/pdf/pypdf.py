# /// script
# dependencies = ["pypdf"]
#
# [tool.compatibility]
# inputs = ["invoice-1.pdf"]
# ///

import pypdf


def extract(*, job, **_):
    r = pypdf.PdfReader(job.inputs[0])
    w = pypdf.PdfWriter(clone_from=r)
    w.add_metadata({"/Title": "x"})
    w.write(job.output_dir / "o.pdf")
    return r.pages[0].extract_text()
