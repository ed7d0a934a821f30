# /// script
# dependencies = []
# ///

import sqlite3, tempfile, logging, random

DB = sqlite3.connect(":memory:")
DB.execute("create table t(x)")
DB.execute("insert into t values (1)")
DB.commit()
SEED = random.random()
TMP = tempfile.mkdtemp()  # made at import
open(TMP + "/data.txt", "w").write("made at import")


def extract(*, job, **_):
    DB.execute("insert into t values (2)")
    return {
        "rows": DB.execute("select count(*) from t").fetchone()[0],
        "tmp": open(TMP + "/data.txt").read(),
    }
