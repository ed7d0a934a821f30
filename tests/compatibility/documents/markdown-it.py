# /// script
# dependencies = ["markdown", "markdown-it-py", "pygments", "html2text", "markdownify"]
# ///

import markdown, markdown_it, pygments, html2text, markdownify
from pygments.lexers import PythonLexer
from pygments.formatters import HtmlFormatter


def extract(*, job, **_):
    h = markdown.markdown("# a\n*b*", extensions=["tables"])
    h2 = markdown_it.MarkdownIt().render("# a")
    (job.output_dir / "a.html").write_text(
        pygments.highlight("x=1", PythonLexer(), HtmlFormatter())
    )
    return [h, h2, html2text.html2text(h), markdownify.markdownify(h)]
