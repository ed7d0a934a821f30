"""Secrets in what a run says: masked in lines, reports, errors and results, in each usual form."""

import base64
import binascii
import contextlib
import dataclasses
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox.command import Ending
from sandbox.runs.masking import MASK, mask_of

SECRET = "s3cr3t/with+odd?chars é"
PEM = (
    "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nAASCBKcwggSjAgEAAoIBAQ\n-----END KEY-----\n"
)


@given(st.binary(max_size=7), st.text(min_size=6, max_size=40), st.binary(max_size=7))
@example(b"", SECRET, b"")
@example(b"user:", SECRET, b"@host")
def test_base64_of_a_secret_within_anything_is_masked(before: bytes, secret: str, after: bytes):
    raw = secret.encode("utf-8", "replace")
    mask = mask_of({"it": secret})
    assert mask is not None
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        shown = mask.text(encode(before + raw + after).decode())
        assert MASK in shown
        kept = raw[2:-2]
        for piece in shown.split(MASK):
            padded = piece[: len(piece) // 4 * 4]
            with contextlib.suppress(binascii.Error):
                told = base64.b64decode(padded, altchars=b"-_")
                assert len(kept) < 4 or kept not in told, shown


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        repr(SECRET),
        json.dumps(SECRET),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote(SECRET).replace("%3F", "%3f").replace("%2B", "%2b").replace("%C3%A9", "%c3%a9"),
        SECRET.encode().hex(),
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_each_usual_form_is_masked(form: str):
    mask = mask_of({"it": SECRET})
    assert mask is not None
    shown = mask.text(f"before {form} after")
    assert shown.replace('"', "").replace("'", "") == f"before {MASK} after"


def test_a_secret_of_several_lines_is_masked_line_by_line():
    mask = mask_of({"key": PEM})
    assert mask is not None
    for line in PEM.splitlines():
        assert mask.octets(f"| {line}".encode()) == f"| {MASK}".encode()


def test_short_secrets_and_none_mask_nothing():
    assert mask_of({}) is None
    assert mask_of({"empty": "", "short": "abc"}) is None


SAYS = """
import base64, sys

def extract(*, job, **_):
    secret = job.secret("it")
    print("line", secret)
    print("error", secret.encode(), file=sys.stderr)
    job.log(f"log {secret}")
    job.progress(1, 2, secret)
    job.event(secret, **{secret: [secret, {"deep": base64.b64encode(secret.encode()).decode()}]})
    END
"""
ENDS = [
    ("return {secret: [secret]}", Ending.RETURNED),
    ("raise ValueError(secret)", Ending.RAISED),
    ("raise ValueError('x' * (1990 - 12) + secret)", Ending.RAISED),
    ("raise ValueError(secret + 'x' * (16_000 - 10))", Ending.RAISED),
    ("job.ask(secret, secret, {secret: secret})", Ending.ASKED),
    ("sys.exit(secret)", Ending.EXITED),
    ("(job.output_dir / secret.replace('/', '')).symlink_to('x')", Ending.RETURNED),
]


@pytest.mark.parametrize("start", ["cold", "warm"])
@pytest.mark.parametrize(("end", "ending"), ENDS, ids=[end for end, _ in ENDS])
async def test_what_a_run_says_of_its_secrets_is_masked(lab, warm, start, end, ending):
    secret = "t0p-secret-value/1" if "symlink" not in end else "t0p-secret-value-1"
    command = dataclasses.replace(lab.command(SAYS.replace("END", end)), secrets={"it": secret})
    outcome = await lab.run(warm(command) if start == "warm" else command)
    assert outcome.ending is ending, outcome
    said = repr(lab.reports) + repr(outcome)
    assert secret not in said and "t0p-" not in said and "value/1" not in said
    assert base64.b64encode(secret.encode()).decode()[:12] not in said
    assert said.count(MASK) >= 7


LONG = """
import sys, time

def extract(*, job, **_):
    secret = job.secret("it")
    for before in range(16_384 - len(secret) - 1, 16_384 + 2):
        sys.stdout.write("x" * before + secret)
        sys.stdout.flush()
        if before % 2:
            time.sleep(0.002)
        sys.stdout.write("y" * 40_000 + "\\n")
    sys.stdout.write("x" * (16_384 - 5) + secret)
"""


async def test_a_secret_across_the_cut_of_an_endless_line_is_masked(lab):
    secret = "0123456789abcdef"
    command = lab.command(LONG)
    limits = dataclasses.replace(command.limits, log_kb=8192)
    command = dataclasses.replace(command, secrets={"it": secret}, limits=limits)
    outcome = await lab.run(command)
    assert outcome.is_ok, outcome
    lines = [one["line"] for one in lab.said("stdout")]
    assert not any(digit in line for line in lines for digit in "0123456789")
    assert all(len(line) <= 16_384 for line in lines)


async def test_a_secret_that_is_too_short_to_mask_is_named(lab):
    command = lab.command("def extract(*, job, **_):\n    print(job.secret('pin'))")
    await lab.run(dataclasses.replace(command, secrets={"pin": "123"}))
    assert [one["message"] for one in lab.said("log")] == [
        "the secret pin is too short to be masked in what the run says"
    ]
