# /// script
# dependencies = ["python-pptx"]
# ///

import pptx


def extract(*, job, **_):
    p = pptx.Presentation()
    s = p.slides.add_slide(p.slide_layouts[0])
    s.shapes.title.text = "Title"
    p.save(job.output_dir / "a.pptx")
    return pptx.Presentation(job.output_dir / "a.pptx").slides[0].shapes.title.text
