# /// script
# dependencies = ["ezdxf"]
# ///

import ezdxf


def extract(*, job, **_):
    d = ezdxf.new(setup=True)
    d.modelspace().add_line((0, 0), (1, 1))
    d.modelspace().add_text("hi")
    d.saveas(job.output_dir / "a.dxf")
    return len(ezdxf.readfile(job.output_dir / "a.dxf").modelspace())
