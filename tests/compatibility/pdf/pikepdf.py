# /// script
# dependencies = ["pikepdf"]
#
# [tool.compatibility]
# inputs = ["invoice-1.pdf"]
# ///

import pikepdf


def extract(*, job, **_):
    with pikepdf.open(job.inputs[0]) as p:
        p.save(
            job.output_dir / "o.pdf",
            linearize=True,
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
        )
        return len(p.pages)
