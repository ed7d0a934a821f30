def run(*, context, outcome, **_):
    print(f"after {outcome['state']}")
    return {"notes": f"hook saw {outcome['state']}"}
