# /// script
# dependencies = ["pytesseract", "pillow"]
# ///

import pytesseract
from PIL import Image


def extract(*, job, **_):
    return pytesseract.image_to_string(Image.new("RGB", (50, 50)))
