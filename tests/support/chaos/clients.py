"""Clients that submit, read, cancel and retry jobs, and write down what they asked and were told."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx2
from support.chaos.checker import ENDS
from support.chaos.history import Asked, Final, History

from runtime.home.socket import short_of

PATIENCE_S = 600.0
"""How long a client waits for the end of one job: whatever is broken meanwhile comes back."""
ANSWERED = frozenset({200, 201, 202})
REFUSED = frozenset({404, 409, 422, 429, 503, 507})
"""What changed nothing; of any other fault nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One client, by the socket in the home; each thread has its own."""

    http: httpx2.Client
    history: History
    chance: Random
    package: str

    def live(self, key: str) -> None:
        """Order one job and see it to its end; cancel and retry it now and then."""
        job = self._submitted(key)
        self._meddle()
        if self.chance.random() < 0.2:
            time.sleep(self.chance.uniform(0, 0.5))
            self.ask(key, "cancel", "POST", f"/v1/jobs/{job}/cancel", job=job)
        self._until_ended(key, job)
        if self.chance.random() < 0.1:
            self.ask(key, "retry", "POST", f"/v1/jobs/{job}/retry", job=job)
            self._until_ended(key, job)

    def _meddle(self) -> None:
        """Ask about a job of another client, or change it, now and then."""
        if self.chance.random() < 0.3:
            some = self.chance.choice(self.history.asked[-200:])
            act, method = self.chance.choice(
                (("read", "GET"), ("cancel", "POST"), ("retry", "POST"))
            )
            if some.job:
                path = f"/v1/jobs/{some.job}" + ("" if act == "read" else f"/{act}")
                self.ask(some.key, act, method, path, job=some.job)

    def _submitted(self, key: str) -> str:
        """Send an order until it is accepted; now and then once more, though it was."""
        order = {"package": self.package, "parameters": {"key": key}}
        sent = {"json": order, "headers": {"Idempotency-Key": key}}
        job = ""
        for _ in self._tries():
            told = self.ask(key, "submit", "POST", "/v1/jobs", **sent)
            job = told.get("id", job)
            if job and self.chance.random() < 0.9:
                break
        return job

    def _until_ended(self, key: str, job: str) -> None:
        for _ in self._tries():
            told = self.ask(key, "read", "GET", f"/v1/jobs/{job}", job=job)
            if told.get("state") in ENDS:
                return

    def _tries(self) -> Iterator[None]:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            yield
            time.sleep(self.chance.uniform(0.02, 0.4))
        raise TimeoutError(f"nothing came of it in {PATIENCE_S:.0f} s")

    def ask(
        self, key: str, act: str, method: str, path: str, *, job: str = "", **sent: Any
    ) -> dict[str, Any]:
        """Ask, and write down what was told; return it, nothing where it was a refusal."""
        began = time.monotonic()
        try:
            answer = self.http.request(method, path, **sent)
            told = answer.json()
        except (httpx2.TransportError, ValueError):
            self.history.asked.append(Asked(key=key, act=act, began=began, job=job))
            return {}
        ended = time.monotonic()
        if answer.status_code in ANSWERED:
            asked = Asked(
                key=key,
                act=act,
                began=began,
                ended=ended,
                job=told["id"],
                state=told["state"],
                attempt=told["attempt"],
            )
            self.history.asked.append(asked)
            return told
        # Where the answer to a commit was lost nobody knows whether it was kept.
        is_refused = answer.status_code in REFUSED and told.get("code") != "store-away"
        self.history.asked.append(
            Asked(key=key, act=act, began=began, ended=ended, job=job, is_refused=True)
            if is_refused
            else Asked(key=key, act=act, began=began, job=job)
        )
        return {}


@contextmanager
def at_home(home: Path) -> Iterator[httpx2.Client]:
    """Offer a client at the socket in the home."""
    with (
        short_of(home) as path,
        httpx2.Client(
            base_url="http://localhost",
            timeout=30.0,
            trust_env=False,
            transport=httpx2.HTTPTransport(uds=path),
        ) as http,
    ):
        yield http


@dataclass(slots=True, kw_only=True)
class Crowd:
    """Several clients at work in threads of their own, on the same heap of orders."""

    home: Path
    package: str
    keys: list[str]
    seed: int
    history: History = field(default_factory=History)
    faults: list[BaseException] = field(default_factory=list[BaseException])
    _threads: list[threading.Thread] = field(default_factory=list[threading.Thread])

    def start(self, *, clients: int) -> None:
        """Let them begin."""
        for number in range(clients):
            thread = threading.Thread(target=self._work, args=(number,), daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def is_busy(self) -> bool:
        """Return whether somebody is still at work."""
        return any(thread.is_alive() for thread in self._threads)

    def _work(self, number: int) -> None:
        try:
            with at_home(self.home) as http:
                client = Client(
                    http=http,
                    history=self.history,
                    chance=Random(self.seed * 1000 + number),
                    package=self.package,
                )
                while self.keys:
                    client.live(self.keys.pop())
        except BaseException as fault:
            self.faults.append(fault)


def look_at_all(home: Path, history: History) -> None:
    """Write down how each job stands, and what it left, now that all is quiet."""
    with at_home(home) as http:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and _are_open(http):
            time.sleep(0.1)
        for key, job in {one.key: one.job for one in history.asked if one.job}.items():
            history.final[key] = _final(http, key=key, job=job)


def _are_open(http: httpx2.Client) -> bool:
    """Return whether some job has not ended yet."""
    counted = http.get("/v1/queue").json()["jobs"]
    return any(number for state, number in counted.items() if state not in ENDS)


def _final(http: httpx2.Client, *, key: str, job: str) -> Final:
    path = f"/v1/jobs/{job}"
    told = http.get(path).json()
    events = [line for line in http.get(f"{path}/events").text.splitlines() if line]
    outputs = http.get(f"{path}/outputs").json()["items"]
    artifact = http.get(f"{path}/artifact")
    return Final(
        key=key,
        job=job,
        state=told["state"],
        attempt=told["attempt"],
        error=(told.get("error") or {}).get("code", ""),
        ends=tuple(_ends(events)),
        outputs={one["path"]: http.get(f"{path}/outputs/{one['path']}").text for one in outputs},
        artifact=artifact.json() if artifact.status_code == 200 else None,
    )


def _ends(lines: list[str]) -> Iterator[int]:
    for event in map(json.loads, lines):
        if event["event"] == "job.finished":
            yield event["attempt"]
