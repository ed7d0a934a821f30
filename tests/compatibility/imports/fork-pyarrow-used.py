# /// script
# dependencies = ["pyarrow", "pandas"]
# ///

import pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq, io

b = io.BytesIO()
pq.write_table(pa.table({"a": list(range(200000))}), b)
b.seek(0)
T = pq.read_table(b)


def extract(*, job, **_):
    b.seek(0)
    return int(pc.sum(pq.read_table(b)["a"]).as_py())
