"""Prints what the interpreter that runs it is; run with -I -S, imported by nobody."""

import json
import os
import sys
import sysconfig

base = getattr(sys, "_base_executable", None) or sys.executable
told = {
    "executable": os.path.realpath(base),
    "prefix": sys.base_prefix,
    "version": ".".join(map(str, sys.version_info[:3]))
    + {"alpha": "a", "beta": "b", "candidate": "rc", "final": ""}[sys.version_info.releaselevel]
    + (str(sys.version_info.serial) if sys.version_info.releaselevel != "final" else ""),
    "soabi": sysconfig.get_config_var("SOABI") or "",
}
print(json.dumps(told))
