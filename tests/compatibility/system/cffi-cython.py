# /// script
# dependencies = ["cffi", "cython", "setuptools"]
# ///

import cffi, Cython, ctypes


def extract(*, job, **_):
    f = cffi.FFI()
    f.cdef("int getpid(void);")
    l = f.dlopen(None)
    ok = l.getpid() > 0
    try:
        f2 = cffi.FFI()
        f2.set_source("_x", "int g(){return 3;}")
        f2.cdef("int g();")
        f2.compile(tmpdir=str(job.scratch_dir))
        c = "compiled"
    except Exception as e:
        c = type(e).__name__ + ": " + str(e)[:120]
    cb = f.callback("int(int)", lambda x: x + 1)
    return [ok, c, cb(2), Cython.__name__]
