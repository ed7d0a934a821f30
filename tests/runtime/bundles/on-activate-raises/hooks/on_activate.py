def run(*, context, **_):
    print("looking for the model")
    raise FileNotFoundError("model.bin is not in the bundle")
