# /// script
# dependencies = ["statsmodels"]
# ///

import statsmodels.api as sm, numpy as np
import statsmodels.formula.api as smf, pandas as pd


def extract(*, job, **_):
    x = np.arange(50.0)
    y = 3 * x + np.sin(x)
    m = sm.OLS(y, sm.add_constant(x)).fit()
    (job.output_dir / "s.txt").write_text(str(m.summary()))
    return [round(float(v), 5) for v in m.params]
