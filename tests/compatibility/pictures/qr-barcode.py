# /// script
# dependencies = ["qrcode[pil]", "python-barcode[images]", "zxing-cpp"]
# ///

import qrcode, barcode, zxingcpp
from barcode.writer import ImageWriter
from PIL import Image


def extract(*, job, **_):
    qrcode.make("hello").save(job.output_dir / "q.png")
    barcode.get("code128", "ABC123", writer=ImageWriter()).save(str(job.output_dir / "b"))
    return [
        zxingcpp.read_barcodes(Image.open(job.output_dir / n))[0].text for n in ("q.png", "b.png")
    ]
