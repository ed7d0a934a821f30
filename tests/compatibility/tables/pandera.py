# /// script
# dependencies = ["pandera[pandas]", "great-tables", "tabulate", "prettytable", "petl"]
# ///

import pandera.pandas as pa, pandas as pd, tabulate


def extract(*, job, **_):
    s = pa.DataFrameSchema({"a": pa.Column(int, pa.Check.ge(0))})
    try:
        s.validate(pd.DataFrame({"a": [-1]}))
    except pa.errors.SchemaError as e:
        return [type(e).__name__, tabulate.tabulate([[1, 2]])]
