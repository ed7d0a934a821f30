# /// script
# dependencies = ["pyzmq"]
# ///

import zmq


def extract(*, job, **_):
    c = zmq.Context()
    a = c.socket(zmq.PAIR)
    a.bind("inproc://x")
    b = c.socket(zmq.PAIR)
    b.connect("inproc://x")
    b.send(b"yo")
    r = a.recv().decode()
    i = c.socket(zmq.REP)
    i.bind(f"ipc://{job.scratch_dir}/z")
    q = c.socket(zmq.REQ)
    q.connect(f"ipc://{job.scratch_dir}/z")
    q.send(b"1")
    r2 = i.recv().decode()
    for s in (a, b, i, q):
        s.close(0)
    c.term()
    return [r, r2]
