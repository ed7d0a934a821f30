# /// script
# dependencies = ["matplotlib"]
# ///

import matplotlib.pyplot as plt, matplotlib


def extract(*, job, **_):
    fig, ax = plt.subplots()
    ax.plot([1, 2, 3])
    ax.set_title("Grüße $x^2$")
    fig.savefig(job.output_dir / "a.png")
    fig.savefig(job.output_dir / "a.pdf")
    fig.savefig(job.output_dir / "a.svg")
    from PIL import Image

    return {
        "backend": matplotlib.get_backend().lower(),
        "size": Image.open(job.output_dir / "a.png").size,
        "n": sorted(p.name for p in job.output_dir.iterdir()),
    }
