# /// script
# dependencies = ["tabula-py"]
#
# [tool.compatibility]
# inputs = ["invoice-1.pdf"]
# ///

import tabula


def extract(*, job, **_):
    try:
        return str(tabula.read_pdf(str(job.inputs[0])))
    except Exception as e:
        return type(e).__name__ + ": " + str(e)[:200]
