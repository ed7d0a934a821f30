import os


def extract(*, job, **_):
    os._exit(3)
