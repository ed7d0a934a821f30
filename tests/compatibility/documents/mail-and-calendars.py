# /// script
# dependencies = ["extract-msg", "icalendar", "vobject", "mail-parser", "beautifulsoup4"]
# ///

import icalendar, vobject, extract_msg, mailparser


def extract(*, job, **_):
    c = icalendar.Calendar()
    e = icalendar.Event()
    e.add("summary", "x")
    c.add_component(e)
    (job.output_dir / "a.ics").write_bytes(c.to_ical())
    return [
        mailparser.parse_from_string("From: a@b.c\nSubject: =?utf-8?q?=C3=BC?=\n\nhi").subject,
        len(icalendar.Calendar.from_ical((job.output_dir / "a.ics").read_bytes()).subcomponents),
    ]
