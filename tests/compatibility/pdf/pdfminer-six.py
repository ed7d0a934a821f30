# /// script
# dependencies = ["pdfminer.six"]
#
# [tool.compatibility]
# inputs = ["invoice-1.pdf"]
# ///

from pdfminer.high_level import extract_text


def extract(*, job, **_):
    return extract_text(job.inputs[0])
