def extract(*, job, **_):
    return {"names": {"a", "b"}}
