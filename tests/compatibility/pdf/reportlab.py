# /// script
# dependencies = ["reportlab", "pypdf"]
# ///

from reportlab.pdfgen import canvas
import pypdf


def extract(*, job, **_):
    c = canvas.Canvas(str(job.output_dir / "a.pdf"))
    c.drawString(100, 700, "Hello wall")
    c.save()
    return pypdf.PdfReader(job.output_dir / "a.pdf").pages[0].extract_text()
