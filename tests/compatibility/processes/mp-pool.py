# /// script
# dependencies = []
# ///

import multiprocessing as mp, os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor


def sq(x):
    return x * x


def run(kind):
    try:
        with mp.get_context(kind).Pool(2) as p:
            return p.map(sq, range(5))
    except BaseException as e:
        return type(e).__name__ + ": " + str(e)[:200]


def extract(*, job, **_):
    out = {k: run(k) for k in ("fork", "spawn", "forkserver")}
    for k in ("fork", "spawn", "forkserver"):
        try:
            with ProcessPoolExecutor(2, mp_context=mp.get_context(k)) as p:
                out["ppe-" + k] = list(p.map(sq, range(5)))
        except BaseException as e:
            out["ppe-" + k] = type(e).__name__ + ": " + str(e)[:200]
    try:
        with mp.Manager() as m:
            d = m.dict()
            pr = mp.Process(target=d.update, args=({"a": 1},))
            pr.start()
            pr.join(20)
            out["manager"] = dict(d)
    except BaseException as e:
        out["manager"] = type(e).__name__ + ": " + str(e)[:200]
    try:
        from multiprocessing import shared_memory

        s = shared_memory.SharedMemory(create=True, size=1000)
        s.buf[0] = 7
        out["shm"] = s.buf[0]
        s.close()
        s.unlink()
        q = mp.Queue()
        q.put(1)
        out["q"] = q.get(timeout=10)
        l = mp.Lock()
        l.acquire()
        l.release()
        v = mp.Value("i", 3)
        out["v"] = v.value
    except BaseException as e:
        out["shm"] = type(e).__name__ + ": " + str(e)[:200]
    return out
