"""Who uses a home: one appliance at a time, and with it only processes of its own cluster."""

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from runtime.faults.errors import HomeInUse, MixedSetUp
from runtime.values.ids import new_id
from wheelhouse.durable import write_file
from wheelhouse.locks import holders, open_lock, try_lock

ID_FILE, CLUSTER_FILE = "home.id", "cluster.json"


@contextmanager
def alone_in(home: Path) -> Generator[None]:
    """Hold the home as its one appliance, or as a command that needs it to stand still."""
    path = home / "fumehood.lock"
    descriptor = open_lock(path)
    try:
        if not try_lock(descriptor):
            raise HomeInUse(
                f"Another appliance is using {home}: {holders(path)}",
                where=str(home),
                mend="stop it, or choose another FUMEHOOD_HOME; "
                "`fumehood worker` is how a further process works for it",
            )
        yield
    finally:
        os.close(descriptor)


@contextmanager
def one_of(home: Path, *, cluster: Mapping[str, str]) -> Generator[None]:
    """Use the home as one process of `cluster`, which all processes in it have to agree on.

    What was agreed on before counts as long as one of those processes runs. Raises MixedSetUp.
    """
    path = home / "cluster.lock"
    descriptor = open_lock(path)
    try:
        there = _agreed(home)
        if there != dict(cluster):
            if not try_lock(descriptor):
                raise _mixed(home, ours=cluster, theirs=there, who=holders(path))
            write_file(home / CLUSTER_FILE, json.dumps(dict(cluster)).encode(), mode=0o600)
        # Looked at again once it is held: another may have come in between, and said otherwise.
        if not try_lock(descriptor, is_shared=True) or _agreed(home) != dict(cluster):
            raise _mixed(home, ours=cluster, theirs=_agreed(home), who=holders(path))
        yield
    finally:
        os.close(descriptor)


def id_of(home: Path) -> str:
    """Return the name by which the processes of a home know that it is the same one."""
    path = home / ID_FILE
    if not path.exists():
        aside = home / f".{new_id()}"
        write_file(aside, new_id().encode(), mode=0o600)
        with suppress(FileExistsError):  # another process of ours was first
            path.hardlink_to(aside)
        aside.unlink()
    return path.read_text(encoding="ascii")


def _agreed(home: Path) -> dict[str, str]:
    try:
        return json.loads((home / CLUSTER_FILE).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}


def _mixed(
    home: Path, *, ours: Mapping[str, str], theirs: Mapping[str, str], who: str
) -> MixedSetUp:
    differing = [
        f"{name} is {ours[name] or 'a file of the home'} here and "
        f"{theirs.get(name) or 'a file of the home'} there"
        for name in ours
        if ours[name] != theirs.get(name)
    ]
    return MixedSetUp(
        f"Others use {home} in another way: {'; '.join(differing)}: {who}",
        where=str(home),
        mend="give this process the same settings, choose another home, or stop the others",
    )
