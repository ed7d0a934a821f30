# /// script
# dependencies = []
# ///

import threading, time

seen = []


def beat():
    while True:
        seen.append(1)
        time.sleep(0.01)


threading.Thread(target=beat, daemon=True).start()


def extract(*, job, **_):
    n = len(seen)
    time.sleep(0.2)
    return len(seen) > n
