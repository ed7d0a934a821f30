# /// script
# dependencies = ["pillow"]
# ///

from PIL import Image, ImageDraw, ImageFont, features


def extract(*, job, **_):
    im = Image.new("RGB", (200, 80), "white")
    d = ImageDraw.Draw(im)
    d.text((5, 5), "Hello", fill=0, font=ImageFont.load_default(30))
    for f in ("png", "jpeg", "webp", "tiff", "gif"):
        im.save(job.output_dir / f"a.{f}")
    im.save(job.output_dir / "a.avif") if features.check("avif") else None
    return {
        "sizes": [Image.open(p).size for p in sorted(job.output_dir.iterdir())],
        "dark": sum(1 for v in im.convert("L").getdata() if v < 128),
    }
