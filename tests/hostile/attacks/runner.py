"""Attacks on the runner that shares the process, and on what the worker believes."""

import array
import json
import os
import socket
import struct
import sys


def channel():
    """Find the runner's socket among the descriptors."""
    for fd in range(3, 1024):
        try:
            return socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
    raise LookupError("no channel")


def send(body):
    channel().sendall(struct.pack(">I", len(body)) + body)


def exit_zero_without_result(*, job, **_):
    os._exit(0)


def exit_like_a_signal(*, job, **_):
    os._exit(137)


def system_exit_zero(*, job, **_):
    sys.exit(0)


def garbage_frame(*, job, **_):
    send(b"\x00\xffnot json")
    return "unreachable"


def oversized_frame(*, job, **_):
    channel().sendall(struct.pack(">I", 0xFFFFFFFF) + b"x" * 100)
    return "unreachable"


def deep_frame(*, job, **_):
    send(b"[" * 100_000 + b"]" * 100_000)
    return "unreachable"


def torn_frame(*, job, **_):
    channel().sendall(struct.pack(">I", 1000) + b"half")
    os._exit(0)


def second_hello(*, job, **_):
    send(json.dumps({"kind": "hello"}).encode())
    return "unreachable"


def forged_ended(*, job, **_):
    send(json.dumps({"kind": "ended", "run": "1", "code": 0, "cpu_s": 0}).encode())
    return "unreachable"


def wrong_types(*, job, **_):
    send(json.dumps({"kind": "done", "ending": "raised", "what": {"a": 1}}).encode())
    return "unreachable"


def forged_walls(*, job, **_):
    """Claim a result with walls of one's own invention beside it."""
    message = {"kind": "done", "ending": "returned", "value": 1, "isolation": {"level": "full"}}
    send(json.dumps(message).encode())
    os._exit(0)


def not_a_number(*, job, **_):
    return float("nan")


def not_json(*, job, **_):
    return {1, 2, 3}


def endless_result(*, job, **_):
    loop = []
    loop.append(loop)
    return loop


def lone_surrogate(*, job, **_):
    return "\udc80"


def smuggle_descriptors(*, job, **_):
    """Send descriptors with every message: whoever does not close them runs out."""
    sock = channel()
    body = json.dumps({"kind": "log", "level": "info", "message": "x"}).encode()
    frame = struct.pack(">I", len(body)) + body
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 100))]
    for _ in range(100):
        sock.sendmsg([frame], rights)
    return "sent"


def monkeypatch_runner(*, job, **_):
    """Replace what the runner may use after us."""
    import traceback

    json.dumps = lambda *_a, **_k: '{"kind": "done", "ending": "returned", "value": "forged"}'
    traceback.format_exception = lambda *_a, **_k: ["forged"]
    sys.stdout = sys.stderr = None
    raise ValueError("the truth")


def close_channel(*, job, **_):
    for fd in range(3, 1024):
        try:
            os.close(fd)
        except OSError:
            continue
    return "unreachable"


def crash(*, job, **_):
    import ctypes

    ctypes.string_at(0)
