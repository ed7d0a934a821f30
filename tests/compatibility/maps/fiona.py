# /// script
# dependencies = ["fiona"]
# ///

import fiona
from fiona.crs import CRS


def extract(*, job, **_):
    with fiona.open(
        str(job.output_dir / "a.geojson"),
        "w",
        driver="GeoJSON",
        crs=CRS.from_epsg(4326),
        schema={"geometry": "Point", "properties": {"n": "str"}},
    ) as f:
        f.write(
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": (1, 2)},
                "properties": {"n": "é"},
            }
        )
    with fiona.open(str(job.output_dir / "a.geojson")) as f:
        return [dict(x["properties"]) for x in f]
