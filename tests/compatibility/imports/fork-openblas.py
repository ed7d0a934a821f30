# /// script
# dependencies = ["numpy", "scipy", "threadpoolctl"]
# ///

import numpy as np, threadpoolctl

A = np.random.default_rng(0).random((300, 300))
B = A @ A  # BLAS used before the fork


def extract(*, job, **_):
    return {
        "r": round(float((A @ A).sum() - B.sum()), 6),
        "inv": round(float(np.linalg.inv(A).sum()), 4),
        "threads": [t["num_threads"] for t in threadpoolctl.threadpool_info()],
    }
