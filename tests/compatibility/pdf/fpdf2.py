# /// script
# dependencies = ["fpdf2", "pypdf"]
# ///

import fpdf, pypdf


def extract(*, job, **_):
    p = fpdf.FPDF()
    p.add_page()
    p.set_font("helvetica", size=12)
    p.cell(text="Hello")
    p.output(job.output_dir / "a.pdf")
    return pypdf.PdfReader(job.output_dir / "a.pdf").pages[0].extract_text()
