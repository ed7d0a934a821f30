# /// script
# dependencies = ["bokeh", "altair", "vl-convert-python", "pandas"]
# ///

import bokeh.plotting as bp, altair as alt, pandas as pd
from bokeh.resources import INLINE
from bokeh.embed import file_html


def extract(*, job, **_):
    p = bp.figure()
    p.line([1, 2], [3, 4])
    (job.output_dir / "b.html").write_text(file_html(p, INLINE, "t"))
    c = alt.Chart(pd.DataFrame({"a": [1, 2], "b": [3, 4]})).mark_bar().encode(x="a", y="b")
    c.save(str(job.output_dir / "c.png"))
    return (job.output_dir / "c.png").stat().st_size > 500
