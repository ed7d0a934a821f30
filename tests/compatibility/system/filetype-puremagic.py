# /// script
# dependencies = ["filetype", "puremagic", "py7zr", "zstandard", "lz4", "brotli", "rarfile", "patool"]
#
# [tool.compatibility]
# inputs = ["invoice-1.pdf"]
# ///

import filetype, puremagic, py7zr, zstandard, lz4.frame, brotli


def extract(*, job, **_):
    with py7zr.SevenZipFile(job.output_dir / "a.7z", "w") as z:
        z.write(job.inputs[0], "a.pdf")
    d = job.inputs[0].read_bytes()
    return [
        filetype.guess(str(job.inputs[0])).mime,
        puremagic.from_file(str(job.inputs[0])),
        zstandard.decompress(zstandard.ZstdCompressor(threads=2).compress(d)) == d,
        lz4.frame.decompress(lz4.frame.compress(d)) == d,
        brotli.decompress(brotli.compress(d)) == d,
    ]
