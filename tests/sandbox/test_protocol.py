"""The way out, fuzzed: whatever a cell sends is a message or a ProtocolFault, and nothing else."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import protocol
from sandbox.command import Ending, Report
from sandbox.protocol import Done, Frames, ProtocolFault

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
KINDS = st.sampled_from(["hello", "warm", "ended", "done", "log", "progress", "event", "else"])
FIELDS = st.sampled_from(
    ["ending", "value", "question", "code", "what", "level", "message", "name", "data", "run"]
)


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_message_or_a_fault(body):
    read_or_fault(body)


@given(KINDS, st.dictionaries(FIELDS, JSON))
def test_any_fields_are_a_message_or_a_fault(kind, fields):
    read_or_fault(json.dumps(fields | {"kind": kind}).encode())


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 50))
def test_frames_survive_any_cutting(bodies, size):
    stream = b"".join(struct.pack(">I", len(body)) + body for body in bodies)
    frames = Frames(largest_bytes=300)
    got = [
        frame for at in range(0, len(stream), size) for frame in frames.feed(stream[at : at + size])
    ]
    assert got == bodies and not frames.is_torn


@given(st.binary(min_size=1, max_size=100))
def test_half_a_frame_is_torn(body):
    frames = Frames(largest_bytes=100)
    assert list(frames.feed(struct.pack(">I", len(body)) + body[:-1])) == []
    assert frames.is_torn


@given(st.integers(101, 2**32 - 1))
def test_an_oversized_frame_is_refused_before_it_is_read(length):
    with pytest.raises(ProtocolFault, match="at most 100"):
        list(Frames(largest_bytes=100).feed(struct.pack(">I", length)))


@pytest.mark.parametrize("piece", ['[],{}:"', '\\",', '\\\\"', ","])
def test_a_text_is_one_value_whatever_it_is_full_of(piece: str) -> None:
    told = {"kind": "done", "ending": "returned", "value": piece * 150_000}
    assert protocol.read(json.dumps(told).encode()).value == piece * 150_000


@pytest.mark.parametrize("piece", [b"[],", b"{},", b'{"a":[]},'])
def test_a_message_of_more_lists_than_can_be_held_is_refused_before_it_is_parsed(
    piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Decoder:
        @staticmethod
        def decode(_: str) -> None:
            raise AssertionError("it was parsed")

    monkeypatch.setattr(protocol, "_DECODER", Decoder)
    body = b'{"kind": "done", "value": [' + piece * 101_001 + b"0]}"
    with pytest.raises(ProtocolFault, match="more than 101000 values"):
        protocol.read(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"kind": "done", "ending": "returned", "value": ' + b"[" * 70 + b"]" * 70 + b"}",
        b'{"kind": "done", "ending": "returned", "value": NaN}',
        b'{"kind": "done", "ending": "over-limit"}',
        b'{"kind": "done", "ending": "asked", "question": []}',
        b'{"kind": "progress", "done": "1"}',
        b'{"kind": "progress", "done": 1e400}',
        b'{"kind": "log", "level": "shout", "message": ""}',
        b'{"kind": ["done"]}',
        b"\xff\xfe",
        b"null",
    ],
)
def test_what_no_runner_sends_is_a_fault(body):
    with pytest.raises(ProtocolFault):
        protocol.read(body)


def test_an_honest_result_is_read():
    done = protocol.read(b'{"kind": "done", "ending": "returned", "value": {"rows": 7}}')
    assert isinstance(done, Done)
    assert (done.ending, done.value) == (Ending.RETURNED, {"rows": 7})


def read_or_fault(body: bytes) -> None:
    try:
        message = protocol.read(body)
    except ProtocolFault:
        return
    if isinstance(message, Report):
        json.dumps(dict(message.data)).encode()
