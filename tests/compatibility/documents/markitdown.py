# /// script
# dependencies = ["markitdown[pdf,docx,xlsx]"]
#
# [tool.compatibility]
# inputs = ["invoice-1.pdf"]
# ///

from markitdown import MarkItDown


def extract(*, job, **_):
    r = MarkItDown().convert(str(job.inputs[0]))
    (job.output_dir / "o.md").write_text(r.text_content)
    return "2026-001" in r.text_content
