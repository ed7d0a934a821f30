# /// script
# dependencies = ["joblib", "numpy"]
# ///

import joblib, os, numpy as np


def extract(*, job, **_):
    with joblib.Parallel(n_jobs=2, backend="loky") as p:
        r = p(joblib.delayed(pow)(i, 2) for i in range(8))
    r2 = joblib.Parallel(n_jobs=2, backend="multiprocessing")(
        joblib.delayed(pow)(i, 2) for i in range(8)
    )
    r3 = joblib.Parallel(n_jobs=2, max_nbytes=1000)(
        joblib.delayed(np.sum)(np.ones(100000)) for i in range(3)
    )
    m = joblib.Memory(job.scratch_dir / "cache", verbose=0)
    f = m.cache(len)
    f("abc")
    return [r, r2, [float(x) for x in r3], f("abc")]
