# /// script
# dependencies = []
# ///

import sqlite3, threading


def extract(*, job, **_):
    p = str(job.scratch_dir / "w.db")
    c = sqlite3.connect(p)
    j = c.execute("pragma journal_mode=wal").fetchone()
    c.execute("create table t(x)")
    c.executemany("insert into t values(?)", [(i,) for i in range(1000)])
    c.commit()
    r = sqlite3.connect(f"file:{p}?mode=ro", uri=True).execute("select sum(x) from t").fetchone()
    c.execute("create virtual table f using fts5(a)")
    c.close()
    o = sqlite3.connect(str(job.output_dir / "o.db"))
    o.execute("pragma journal_mode=wal")
    o.execute("create table t(x)")
    o.commit()
    o.close()
    return [j[0], r[0]]
