# /// script
# dependencies = ["python-docx"]
# ///

import docx


def extract(*, job, **_):
    d = docx.Document()
    d.add_heading("Hi", 0)
    d.add_paragraph("Zażółć")
    t = d.add_table(2, 2)
    t.cell(0, 0).text = "x"
    d.save(job.output_dir / "a.docx")
    return [p.text for p in docx.Document(job.output_dir / "a.docx").paragraphs]
