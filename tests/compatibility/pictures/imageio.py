# /// script
# dependencies = ["imageio[ffmpeg]", "numpy"]
# ///

import imageio.v3 as iio, numpy as np


def extract(*, job, **_):
    a = np.zeros((64, 64, 3), np.uint8)
    iio.imwrite(job.output_dir / "a.gif", [a, a + 100], duration=50)
    try:
        iio.imwrite(job.output_dir / "a.mp4", np.stack([a + i for i in range(10)]), fps=10)
        m = iio.imread(job.output_dir / "a.mp4").shape
    except Exception as e:
        m = type(e).__name__ + ": " + str(e)[:200]
    return {"gif": iio.imread(job.output_dir / "a.gif").shape, "mp4": m}
