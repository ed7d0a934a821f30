# /// script
# dependencies = ["psutil", "cloudpickle", "dill", "pathos", "watchdog", "filelock", "portalocker", "diskcache", "cachetools", "platformdirs"]
#
# [tool.compatibility]
# differs = "processors"
# ///

import psutil, cloudpickle, dill, filelock, diskcache, platformdirs
from pathos.multiprocessing import ProcessPool


def extract(*, job, **_):
    with filelock.FileLock(job.scratch_dir / "l"):
        pass
    d = diskcache.Cache(platformdirs.user_cache_dir("x"))
    d["a"] = 1
    return [
        psutil.Process().num_threads() > 0,
        psutil.virtual_memory().total > 0,
        psutil.cpu_count(),
        ProcessPool(2).map(lambda x: x + 1, [1, 2]),
        d["a"],
        platformdirs.user_cache_dir("x"),
    ]
