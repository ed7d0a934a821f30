# /// script
# dependencies = ["numba"]
# ///

import numba, numpy as np


@numba.njit("f8(f8[:])", parallel=True)
def g(a):
    s = 0.0
    for i in numba.prange(a.size):
        s += a[i]
    return s


warmup = g(np.ones(10))


def extract(*, job, **_):
    return [g(np.ones(1000))]
