# /// script
# dependencies = ["jinja2"]
# ///

import jinja2


def extract(*, job, **_):
    e = jinja2.Environment(
        loader=jinja2.DictLoader({"a": "Hi {{x|upper}}{% for i in y %}{{i}}{% endfor %}"})
    )
    t = e.get_template("a").render(x="b", y=[1, 2])
    (job.output_dir / "a.txt").write_text(t)
    return t
