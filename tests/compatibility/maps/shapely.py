# /// script
# dependencies = ["shapely"]
# ///

import shapely, shapely.geometry as g


def extract(*, job, **_):
    a = g.Point(0, 0).buffer(1)
    b = g.box(0, 0, 2, 2)
    (job.output_dir / "a.wkt").write_text(a.intersection(b).wkt)
    return [round(a.intersection(b).area, 6), shapely.geos_version[0]]
