# /// script
# dependencies = ["weasyprint", "pypdf"]
# ///

import weasyprint, pypdf


def extract(*, job, **_):
    weasyprint.HTML(string="<h1>Grüße</h1><p>Text</p>").write_pdf(job.output_dir / "a.pdf")
    return pypdf.PdfReader(job.output_dir / "a.pdf").pages[0].extract_text()
