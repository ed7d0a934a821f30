# /// script
# dependencies = ["geopandas"]
# ///

import geopandas as gpd
from shapely.geometry import Point


def extract(*, job, **_):
    d = gpd.GeoDataFrame(
        {"n": ["berlin", "paris"]}, geometry=[Point(13.4, 52.5), Point(2.35, 48.85)], crs=4326
    )
    d.to_file(job.output_dir / "a.gpkg", driver="GPKG")
    d.to_file(job.output_dir / "a.shp")
    d.to_parquet(job.output_dir / "a.parquet") if 0 else None
    r = gpd.read_file(job.output_dir / "a.gpkg").to_crs(3857)
    return [[round(p.x), round(p.y)] for p in r.geometry]
