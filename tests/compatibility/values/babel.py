# /// script
# dependencies = ["babel"]
# ///

import babel.dates, babel.numbers, datetime as d


def extract(*, job, **_):
    return [
        babel.dates.format_date(d.date(2026, 3, 5), "full", locale="de"),
        babel.numbers.format_currency(1234.5, "EUR", locale="de_DE"),
        babel.dates.format_datetime(
            d.datetime(2026, 7, 1, 12, tzinfo=d.UTC),
            tzinfo=babel.dates.get_timezone("Europe/Berlin"),
            locale="en",
        ),
        babel.dates.LOCALTZ is not None,
    ]
