# /// script
# dependencies = ["beautifulsoup4", "lxml", "html5lib"]
# ///

import bs4


def extract(*, job, **_):
    h = "<p>Un<b>closed<td>x"
    (job.output_dir / "o.html").write_text(bs4.BeautifulSoup(h, "html5lib").prettify())
    return [str(bs4.BeautifulSoup(h, p)) for p in ("lxml", "html5lib", "html.parser")]
