# /// script
# dependencies = ["xmltodict", "defusedxml"]
# ///

import xmltodict, defusedxml.ElementTree as D


def extract(*, job, **_):
    r = xmltodict.parse("<a><b>1</b><b>2</b></a>")
    try:
        D.fromstring('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>')
        e = None
    except Exception as x:
        e = type(x).__name__
    (job.output_dir / "x.xml").write_text(xmltodict.unparse(r))
    return [r, e]
