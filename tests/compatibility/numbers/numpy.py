# /// script
# dependencies = ["numpy"]
# ///

import numpy as np


def extract(*, job, **_):
    a = np.random.default_rng(7).random((400, 400))
    np.save(job.output_dir / "a.npy", a)
    m = np.memmap(job.scratch_dir / "m.dat", dtype="f8", mode="w+", shape=(1000,))
    m[:] = 1
    m.flush()
    return {
        "det": round(float(np.linalg.slogdet(a)[1]), 6),
        "dot": round(float((a @ a).sum()), 4),
        "mm": float(m.sum()),
        "load": float(np.load(job.output_dir / "a.npy", mmap_mode="r").mean()),
    }
