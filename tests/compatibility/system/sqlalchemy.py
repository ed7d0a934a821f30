# /// script
# dependencies = ["sqlalchemy"]
# ///

import sqlalchemy as sa


def extract(*, job, **_):
    e = sa.create_engine(f"sqlite:///{job.scratch_dir}/x.db")
    m = sa.MetaData()
    t = sa.Table("t", m, sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.String))
    m.create_all(e)
    with e.begin() as c:
        c.execute(t.insert(), [{"n": "a"}, {"n": "b"}])
        c.exec_driver_sql("pragma journal_mode")
    with e.connect() as c:
        return [r.n for r in c.execute(sa.select(t))]
