# /// script
# dependencies = ["seaborn"]
# ///

import seaborn as sns, pandas as pd


def extract(*, job, **_):
    g = sns.pairplot(pd.DataFrame({"a": [1, 2, 3, 4], "b": [2, 1, 4, 3]}))
    g.savefig(job.output_dir / "a.png")
    return (job.output_dir / "a.png").stat().st_size > 5000
