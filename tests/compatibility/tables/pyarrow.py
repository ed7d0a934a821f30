# /// script
# dependencies = ["pyarrow"]
# ///

import pyarrow as pa, pyarrow.parquet as pq, pyarrow.compute as pc, pyarrow.csv as pcsv, pyarrow.dataset as ds


def extract(*, job, **_):
    t = pa.table({"a": list(range(10000)), "b": ["x", "y"] * 5000})
    pq.write_table(t, job.output_dir / "t.parquet", compression="zstd")
    r = pq.read_table(job.output_dir / "t.parquet")
    d = ds.dataset(job.output_dir / "t.parquet").to_table(filter=pc.field("a") > 9990)
    pcsv.write_csv(r, job.scratch_dir / "t.csv")
    c = pcsv.read_csv(job.scratch_dir / "t.csv")
    ts = pc.assume_timezone(pc.strptime(pa.array(["2026-07-01"]), "%Y-%m-%d", "s"), "Europe/Berlin")
    return {
        "sum": pc.sum(r["a"]).as_py(),
        "f": d.num_rows,
        "c": c.num_rows,
        "ts": str(ts[0].as_py()),
        "cpu": pa.cpu_count(),
        "g": r.group_by("b").aggregate([("a", "sum")]).to_pydict(),
    }
