# /// script
# dependencies = ["odfpy", "pandas", "calamine; python_version<'3'", "python-calamine"]
# ///

import pandas as pd, python_calamine


def extract(*, job, **_):
    pd.DataFrame({"a": [1, 2]}).to_excel(job.output_dir / "a.ods", engine="odf")
    return pd.read_excel(job.output_dir / "a.ods", engine="calamine")["a"].tolist()
