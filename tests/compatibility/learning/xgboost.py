# /// script
# dependencies = ["xgboost"]
# ///

import xgboost as xgb, numpy as np


def extract(*, job, **_):
    r = np.random.default_rng(0)
    X = r.random((500, 5))
    y = (X[:, 0] > 0.5).astype(int)
    m = xgb.XGBClassifier(n_estimators=20, max_depth=3, n_jobs=2).fit(X, y)
    m.save_model(job.output_dir / "m.json")
    return round(float(m.score(X, y)), 4)
