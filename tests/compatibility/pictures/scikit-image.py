# /// script
# dependencies = ["scikit-image"]
# ///

from skimage import data, filters, measure, io, color


def extract(*, job, **_):
    im = data.coins()
    t = filters.threshold_otsu(im)
    l = measure.label(im > t)
    io.imsave(job.output_dir / "c.png", (filters.gaussian(im) * 255).astype("uint8"))
    return [int(t), int(l.max())]
