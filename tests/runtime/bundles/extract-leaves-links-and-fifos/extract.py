import os
import pathlib


def extract(*, job, **_):
    out = pathlib.Path(job.output_dir)
    (out / "good.txt").write_text("good")
    (out / "passwd").symlink_to("/etc/passwd")
    (out / "loop").symlink_to(".")
    os.mkfifo(out / "pipe")
    return
