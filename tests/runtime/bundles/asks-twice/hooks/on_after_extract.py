"""Says what it saw."""


def run(*, context, outcome, **_):
    print("hook saw", outcome["state"])
