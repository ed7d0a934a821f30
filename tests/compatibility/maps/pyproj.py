# /// script
# dependencies = ["pyproj"]
# ///

import pyproj


def extract(*, job, **_):
    t = pyproj.Transformer.from_crs(4326, 25833, always_xy=True)
    return {
        "xy": [round(v, 2) for v in t.transform(13.4, 52.5)],
        "d": pyproj.datadir.get_data_dir().split("site-packages")[-1],
    }
