import time


def extract(*, job, **_):
    (job.output_dir / "begun.txt").write_text("begun")
    print("hanging", flush=True)
    while True:
        time.sleep(1)
