# /// script
# dependencies = ["ocrmypdf"]
#
# [tool.compatibility]
# inputs = ["invoice-1.pdf"]
# ///

import ocrmypdf


def extract(*, job, **_):
    try:
        return str(ocrmypdf.ocr(job.inputs[0], job.output_dir / "o.pdf", progress_bar=False))
    except BaseException as e:
        return type(e).__name__ + ": " + str(e)[:300]
