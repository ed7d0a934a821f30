# /// script
# dependencies = ["docxtpl", "mammoth", "odfpy", "ebooklib", "striprtf", "olefile", "pdf2image", "img2pdf", "svglib; python_version<'3'", "cairosvg"]
#
# [tool.compatibility]
# inputs = ["invoice-1.pdf"]
# ///

import mammoth, olefile, img2pdf, docxtpl, docx
from striprtf.striprtf import rtf_to_text
from ebooklib import epub


def extract(*, job, **_):
    d = docx.Document()
    d.add_paragraph("Hi {{x}}")
    d.save(job.scratch_dir / "t.docx")
    t = docxtpl.DocxTemplate(job.scratch_dir / "t.docx")
    t.render({"x": "you"})
    t.save(job.output_dir / "o.docx")
    try:
        import cairosvg

        cairosvg.svg2png(
            bytestring=b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
            write_to=str(job.output_dir / "s.png"),
        )
        cs = "ok"
    except Exception as e:
        cs = type(e).__name__ + ": " + str(e)[:90]
    try:
        import pdf2image

        pdf2image.convert_from_path(str(job.inputs[0]))
        p = "ok"
    except Exception as e:
        p = type(e).__name__ + ": " + str(e)[:90]
    return [
        mammoth.convert_to_html(open(job.output_dir / "o.docx", "rb")).value,
        rtf_to_text(r"{\rtf1 hi}"),
        cs,
        p,
    ]
