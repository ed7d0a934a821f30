# /// script
# dependencies = ["plotly", "kaleido", "pandas"]
# ///

import plotly.graph_objects as go


def extract(*, job, **_):
    f = go.Figure(go.Bar(y=[1, 2]))
    f.write_html(job.output_dir / "a.html", include_plotlyjs=True)
    try:
        f.write_image(job.output_dir / "a.png")
        k = "ok"
    except BaseException as e:
        k = type(e).__name__ + ": " + str(e).strip()[:120]
    return {"html": (job.output_dir / "a.html").stat().st_size > 100000, "kaleido": k}
