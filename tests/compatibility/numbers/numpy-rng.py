# /// script
# dependencies = ["numpy"]
#
# [tool.compatibility]
# differs = "random"
# ///

import numpy as np, random, uuid, secrets, os

r0 = np.random.default_rng()


def extract(*, job, **_):
    return {
        "np": float(np.random.rand()),
        "py": random.random(),
        "uuid": str(uuid.uuid4()),
        "default_rng": float(np.random.default_rng().random()),
        "module_rng": float(r0.random()),
        "hash": hash("x"),
        "secrets": secrets.token_hex(4),
    }
