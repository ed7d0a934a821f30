# /// script
# dependencies = ["python-magic"]
#
# [tool.compatibility]
# inputs = ["invoice-1.pdf"]
# ///

import magic


def extract(*, job, **_):
    return magic.from_file(str(job.inputs[0]), mime=True)
