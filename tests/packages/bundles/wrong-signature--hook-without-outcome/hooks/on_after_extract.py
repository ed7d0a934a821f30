def run(*, context):
    pass
