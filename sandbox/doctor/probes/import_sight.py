"""What doctor lets a warm cell import: leaves its forks the /proc in which all runs are counted."""

import os
import sys

PATCHED = []
for name, module in list(sys.modules.items()):
    if "_inside." in name and name.endswith(".fork_script"):
        script = module.ForkScript
        mount = script._mount

        def patched(self, setup, mount=mount):
            """Mount all but /proc."""
            add = self._add

            def but_proc(*call, **more):
                if call[1:3] != (b"proc", b"/proc"):
                    add(*call, **more)

            self._add = but_proc
            mount(self, setup)
            self._add = add

        script._mount = patched
        PATCHED.append(name)


def attempt(*, job, **_):
    """Say what came through: a run is the first process of its own /proc."""
    number = os.readlink("/proc/self") if PATCHED and os.path.lexists("/proc/self") else "1"
    return {"got": "" if number == "1" else "it is number %s of all runs" % (number,)}
