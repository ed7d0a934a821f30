# /// script
# dependencies = ["rasterio"]
# ///

import rasterio, numpy as np
from rasterio.transform import from_origin
from rasterio.warp import calculate_default_transform, reproject, Resampling


def extract(*, job, **_):
    p = job.output_dir / "a.tif"
    with rasterio.open(
        p,
        "w",
        driver="GTiff",
        height=50,
        width=50,
        count=1,
        dtype="float32",
        crs="EPSG:4326",
        transform=from_origin(10, 50, 0.1, 0.1),
        compress="deflate",
    ) as d:
        d.write(np.ones((1, 50, 50), "float32"))
    with rasterio.open(p) as d:
        tr, w, h = calculate_default_transform(d.crs, "EPSG:3857", d.width, d.height, *d.bounds)
        out = np.zeros((h, w), "float32")
        reproject(
            rasterio.band(d, 1),
            out,
            dst_transform=tr,
            dst_crs="EPSG:3857",
            resampling=Resampling.nearest,
            num_threads=2,
        )
        return [w, h, float(out.sum())]
