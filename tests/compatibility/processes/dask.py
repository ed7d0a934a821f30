# /// script
# dependencies = ["dask[array,dataframe,distributed]"]
# ///

import dask, dask.array as da, dask.bag as db
import dask.dataframe as dd, pandas as pd


def extract(*, job, **_):
    x = da.ones((2000, 2000), chunks=500)
    t = float(x.sum().compute(scheduler="threads"))
    b = (
        db.from_sequence(range(20), npartitions=2)
        .map(lambda v: v * 2)
        .sum()
        .compute(scheduler="processes", num_workers=2)
    )
    f = (
        dd.from_pandas(pd.DataFrame({"a": range(100), "b": [1, 2] * 50}), npartitions=2)
        .groupby("b")
        .a.sum()
        .compute()
    )
    return [t, b, f.to_dict()]
