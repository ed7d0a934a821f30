# /// script
# dependencies = ["numba"]
# ///

import numba, numpy as np


@numba.njit(cache=True)
def f(a):
    s = 0.0
    for x in a:
        s += x * x
    return s


@numba.njit(parallel=True)
def g(a):
    s = 0.0
    for i in numba.prange(a.size):
        s += a[i]
    return s


def extract(*, job, **_):
    return [f(np.arange(100.0)), g(np.ones(1000)), numba.get_num_threads()]
