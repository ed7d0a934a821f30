# /// script
# dependencies = ["psycopg[binary]"]
#
# [tool.compatibility]
# differs = "network"
# ///

import psycopg


def extract(*, job, **_):
    try:
        psycopg.connect("host=127.0.0.1 port=5499 connect_timeout=3")
    except psycopg.OperationalError as e:
        return str(e)[:80]
