def run(*, job, **_):
    return None
