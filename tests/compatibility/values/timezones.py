# /// script
# dependencies = ["pytz", "python-dateutil", "tzlocal", "pendulum; python_version<'3.13'", "arrow"]
# ///

import pytz, zoneinfo, dateutil.tz, dateutil.parser, datetime as d, time, tzlocal, arrow


def extract(*, job, **_):
    n = d.datetime(2026, 7, 1, 12, tzinfo=d.UTC)
    return [
        str(n.astimezone(zoneinfo.ZoneInfo("Europe/Berlin"))),
        str(n.astimezone(pytz.timezone("Asia/Tokyo"))),
        str(n.astimezone(dateutil.tz.gettz("America/New_York"))),
        len(zoneinfo.available_timezones()) > 400,
        time.tzname,
        str(tzlocal.get_localzone()),
        str(arrow.get(n).to("Europe/Paris")),
        str(dateutil.tz.tzlocal().utcoffset(n)),
    ]
