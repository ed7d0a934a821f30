# /// script
# dependencies = ["scipy"]
# ///

import numpy as np
from scipy import optimize, stats, sparse, fft, signal, linalg, io as sio
import scipy.sparse.linalg as sl


def extract(*, job, **_):
    r = optimize.minimize(lambda x: ((x - 3) ** 2).sum(), np.zeros(4))
    A = sparse.diags([2, -1, -1], [0, 1, -1], shape=(500, 500)).tocsc()
    x = sl.spsolve(A, np.ones(500))
    sio.savemat(job.output_dir / "x.mat", {"x": x})
    f = fft.fft(np.arange(1024.0), workers=2)
    return {
        "x": [round(v, 4) for v in r.x.tolist()],
        "s": round(float(x.sum()), 3),
        "p": round(float(stats.ttest_ind([1, 2, 3], [2, 3, 5]).pvalue), 6),
        "e": round(float(linalg.eigvalsh(np.eye(50) * 2).sum()), 6),
        "f": round(float(abs(f).sum()), 2),
    }
