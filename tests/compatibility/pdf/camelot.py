# /// script
# dependencies = ["camelot-py[base]"]
#
# [tool.compatibility]
# inputs = ["invoice-1.pdf"]
# ///

import camelot


def extract(*, job, **_):
    t = camelot.read_pdf(str(job.inputs[0]), flavor="lattice")
    t[0].to_csv(str(job.output_dir / "t.csv"))
    return t[0].df.values.tolist()
