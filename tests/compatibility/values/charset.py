# /// script
# dependencies = ["chardet", "charset-normalizer"]
# ///

import chardet, charset_normalizer


def extract(*, job, **_):
    b = "Größe über alles – schöne Grüße aus München".encode("cp1252") * 5
    return [chardet.detect(b)["encoding"], str(charset_normalizer.from_bytes(b).best().encoding)]
