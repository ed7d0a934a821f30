# /// script
# dependencies = ["netCDF4", "xarray", "h5netcdf", "zarr", "dask"]
# ///

import xarray as xr, numpy as np, zarr


def extract(*, job, **_):
    d = xr.Dataset({"t": (("x", "y"), np.ones((10, 10)))}, coords={"x": np.arange(10)})
    d.to_netcdf(job.output_dir / "a.nc")
    d.to_zarr(job.output_dir / "a.zarr")
    r = xr.open_dataset(job.output_dir / "a.nc", chunks={"x": 5})
    return [float(r.t.sum().compute()), float(xr.open_zarr(job.output_dir / "a.zarr").t.mean())]
