"""Byte-compiles the runner's code; run by the interpreter that it is for: FOLDER of the package.

The first module is compiled beside its source too, since it is started by its path.
"""

import compileall
import py_compile
import sys

folder = sys.argv[1]
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
start = folder + "/start.py"
py_compile.compile(start, start + "c", doraise=True, invalidation_mode=mode)
sys.exit(not compileall.compile_dir(folder, quiet=1, invalidation_mode=mode))
