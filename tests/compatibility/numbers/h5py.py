# /// script
# dependencies = ["h5py"]
# ///

import h5py, numpy as np


def extract(*, job, **_):
    with h5py.File(job.output_dir / "a.h5", "w") as f:
        f.create_dataset("x", data=np.arange(1000), compression="gzip", chunks=True)
    with h5py.File(job.output_dir / "a.h5") as f:
        return int(f["x"][:].sum())
