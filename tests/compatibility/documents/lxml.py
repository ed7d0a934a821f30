# /// script
# dependencies = ["lxml"]
# ///

from lxml import etree, html


def extract(*, job, **_):
    x = etree.XSLT(
        etree.XML(
            '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><o><xsl:value-of select="sum(//b)"/></o></xsl:template></xsl:stylesheet>'
        )
    )
    (job.output_dir / "o.xml").write_bytes(bytes(x(etree.XML("<a><b>1</b><b>2</b></a>"))))
    return [html.fromstring("<p>é<b>x").text_content(), (job.output_dir / "o.xml").read_text()]
