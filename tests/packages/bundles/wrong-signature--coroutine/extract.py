async def extract(*, job, **_):
    return None
