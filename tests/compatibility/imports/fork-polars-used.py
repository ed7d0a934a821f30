# /// script
# dependencies = ["polars"]
# ///

import polars as pl

L = (
    pl.DataFrame({"a": range(1000), "g": [1, 2] * 500})
    .lazy()
    .group_by("g")
    .agg(pl.col("a").sum())
    .collect()
)


def extract(*, job, **_):
    return (
        pl.DataFrame({"a": range(1000), "g": [1, 2] * 500})
        .lazy()
        .group_by("g")
        .agg(pl.col("a").sum())
        .sort("g")
        .collect()
        .to_dicts()
    )
