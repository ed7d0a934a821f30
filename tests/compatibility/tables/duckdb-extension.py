# /// script
# dependencies = ["duckdb"]
#
# [tool.compatibility]
# differs = "network"
# ///

import duckdb


def extract(*, job, **_):
    try:
        duckdb.sql("install spatial")
        return "installed"
    except Exception as e:
        return type(e).__name__ + ": " + str(e)[:150]
