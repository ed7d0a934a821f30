"""The two messages that a cell gets: which walls to shut, and later its run. Pure."""

import math
from collections.abc import Sequence

from sandbox.command import Command
from sandbox.limits import Limits
from sandbox.protocol import Inward
from sandbox.walls import landlock, seccomp
from sandbox.walls.landlock import Confinement
from sandbox.walls.layout import CELL_UID, WORK, Barriers, Layout
from sandbox.walls.walls import Walls

_AROUND_BYTES = 262_144
"""What is around a result in its message, at most: log lines and reports are sent by themselves."""


def setup(
    command: Command, layout: Layout, *, walls: Walls, barriers: Barriers
) -> dict[str, Inward]:
    """Return the message that tells a cell which walls to shut and where things are."""
    return {
        "uid": CELL_UID,
        "gid": CELL_UID,
        "bundle_path": list(layout.code_path),
        "environment_path": list(layout.environment_path),
        "prefix": layout.prefix,
        "argv0": command.target,
        "variables": dict(command.variables),
        "scratch_dir": layout.scratch_dir,
        "output_dir": layout.output_dir,
        "input_dir": layout.input_dir,
        "work_dir": WORK,
        "mounts": walls.mounts(command.limits),
        "leaves_network": walls.facts.takes_network and command.network is None,
        "landlock": _ruleset(walls.confinement(command, layout), barriers),
        "warm_landlock": _ruleset(walls.warm_confinement(command, layout), barriers),
        "seccomp": _program(walls.facts.job_filter, barriers),
        "warm_seccomp": _program(walls.facts.warm_filter, barriers),
        "rlimits": walls.rlimits(command.limits),
        "preload": list(command.warmth.preload) if command.warmth else [],
        "processors": math.ceil(command.limits.cpus),
    }


def request(
    command: Command, layout: Layout, *, processors: Sequence[int] = ()
) -> dict[str, Inward]:
    """Return the message that gives a ready cell its run.

    `processors` are those that it has to bind itself to, if it is not bound already.
    """
    return {
        "processors": list(processors),
        "target": command.target,
        "handle": command.handle,
        "facts": dict(command.facts),
        "arguments": dict(command.arguments),
        "answers": dict(command.answers),
        "secrets": dict(command.secrets),
        "network": command.network is not None,
        "inputs": [f"{layout.input_dir}/{item.name}" for item in command.inputs],
        "output_dir": layout.output_dir,
        "scratch_dir": layout.scratch_dir,
        "folders": dict(layout.folders),
        "result_bytes": command.limits.result_kb * 1024,
        "report_bytes": most_frame_bytes(command.limits),
    }


def most_frame_bytes(limits: Limits) -> int:
    """Return how large one message from a run may be: as its result, and what is around that."""
    return limits.result_kb * 1024 + _AROUND_BYTES


def _ruleset(confinement: Confinement | None, barriers: Barriers) -> Inward:
    if confinement is None or barriers.landlock_abi == 0:
        return None
    return landlock.ruleset(confinement, abi=barriers.landlock_abi)


def _program(profile: seccomp.Profile, barriers: Barriers) -> bytes | None:
    if not barriers.has_seccomp:
        return None
    return seccomp.program(profile, machine=barriers.machine)
