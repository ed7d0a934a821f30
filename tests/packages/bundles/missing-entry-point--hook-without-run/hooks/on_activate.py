def main(*, context, **_):
    pass
