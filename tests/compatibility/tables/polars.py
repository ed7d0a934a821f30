# /// script
# dependencies = ["polars"]
# ///

import polars as pl


def extract(*, job, **_):
    df = pl.DataFrame({"g": ["a", "b"] * 500, "v": list(range(1000))})
    out = df.group_by("g").agg(pl.col("v").sum()).sort("g")
    out.write_parquet(job.output_dir / "o.parquet")
    lz = pl.scan_parquet(job.output_dir / "o.parquet").filter(pl.col("g") == "a").collect()
    t = df.with_columns(
        pl.lit("2026-01-01 10:00").str.to_datetime().dt.replace_time_zone("Europe/Paris").alias("t")
    )
    return {
        "r": out.to_dicts(),
        "lz": lz.to_dicts(),
        "tz": str(t["t"][0]),
        "threads": pl.thread_pool_size(),
    }
