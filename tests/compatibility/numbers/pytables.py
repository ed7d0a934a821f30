# /// script
# dependencies = ["tables", "pandas"]
# ///

import tables, pandas as pd


def extract(*, job, **_):
    pd.DataFrame({"a": range(100)}).to_hdf(
        job.output_dir / "a.h5", key="k", format="table", complib="blosc"
    )
    return int(pd.read_hdf(job.output_dir / "a.h5", "k", where="index>90").a.sum())
