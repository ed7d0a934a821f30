# /// script
# dependencies = ["duckdb"]
#
# [tool.compatibility]
# differs = "processors"
# ///

import duckdb


def extract(*, job, **_):
    con = duckdb.connect(str(job.scratch_dir / "x.duckdb"))
    con.execute("create table t as select i, i%7 g from range(200000) r(i)")
    con.execute(
        f"copy (select g, sum(i) s from t group by g order by g) to '{job.output_dir}/o.parquet' (format parquet)"
    )
    r = con.execute(f"select count(*), sum(s) from '{job.output_dir}/o.parquet'").fetchone()
    tz = con.execute(
        "select timezone('Europe/Berlin', timestamptz '2026-07-01 00:00:00+00')"
    ).fetchone()
    return {
        "r": [int(x) for x in r],
        "tz": str(tz[0]),
        "threads": con.execute("select current_setting('threads')").fetchone()[0],
    }
