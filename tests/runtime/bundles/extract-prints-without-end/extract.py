def extract(*, job, **_):
    line = "x" * 1023
    for _number in range(1024 * 1024):
        print(line)
