import time


def extract(*, job, **_):
    time.sleep(600)
