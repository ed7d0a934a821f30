# /// script
# dependencies = ["dateparser"]
# ///

import dateparser


def extract(*, job, **_):
    return [
        str(dateparser.parse("5. März 2026 14:00 CET")),
        str(dateparser.parse("12 janvier 2026", languages=["fr"])),
        str(
            dateparser.parse(
                "2026-01-01 10:00", settings={"TIMEZONE": "US/Pacific", "TO_TIMEZONE": "UTC"}
            )
        ),
    ]
