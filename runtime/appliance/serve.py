"""Runs the appliance in one process: the HTTP server, a worker, and an orderly end of both."""

import asyncio
import gc
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from importlib import import_module
from importlib.metadata import version as distribution_version
from ipaddress import ip_address

import uvicorn
from fastapi import FastAPI

from runtime.access.identification import local_admin
from runtime.access.periodic import periodic_work
from runtime.appliance.appliance import Appliance, Role, open_appliance
from runtime.appliance.sandboxes import OpeningSandbox
from runtime.faults.errors import SettingsRefused
from runtime.home.local_user import local_user
from runtime.home.socket import ADDRESS_NAME
from runtime.http.app import make_app
from runtime.http.connections.accept_loop import accept_on, room_for
from runtime.http.connections.connection import Connection
from runtime.http.connections.connection_table import ConnectionBounds, ConnectionTable
from runtime.http.connections.listening import (
    address_of,
    listening_at,
    listening_for_proxy,
    listening_on,
)
from runtime.http.connections.tls import renew, tls_context
from runtime.queue.late import MODULE, LateQueues
from runtime.queue.queue import OpenQueues
from runtime.settings.settings import Settings
from runtime.store.access import audit
from runtime.values.records import JsonObject
from runtime.worker.loops import looping
from runtime.worker.tasks import working

GRACE_S = 5
OFTEN = (5000, 10, 10)
"""How often garbage is looked for: 2 ms at a time, so no answer waits, and a third of the time that
CPython's own 700 take (3 % of a loop with many jobs). The command that begins a process of ours
looks seldom (runtime/cli/main.py)."""
LATE_IMPORT = "anyio._backends._asyncio"
"""What anyio imports when the first answer is streamed: nobody was served for 140 ms (measured).

Nor during a full garbage collection that goes through all that a start has made (100 ms), which
is frozen before anybody is served.
"""
log = logging.getLogger("fumehood.serve")


class StoppableServer(uvicorn.Server):
    """A server whose open streams end when it stops, and which leaves signals to us.

    uvicorn waits for open responses, and an SSE stream is open for as long as a job runs;
    it also raises the signal again when it is done, before the worker could drain.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        table: ConnectionTable,
        tls: ssl.SSLContext | None,
        proxy: socket.socket | None,
    ) -> None:
        super().__init__(config)
        self._proxy = proxy
        self._table = table
        self._tls = tls
        self._accepting: list[asyncio.Task[None]] = []

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals alone: `serve` handles them."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, as far as there is room."""
        self.servers: list[asyncio.base_events.Server] = []
        accepting = (
            accept_on(
                one,
                table=self._table,
                make=partial(self._connection, is_proxy=one is self._proxy),
                tls=None if one.family == socket.AF_UNIX else self._tls,
                is_for_all=one.family != socket.AF_UNIX or one is self._proxy,
            )
            for one in sockets or ()
        )
        self._accepting = [asyncio.create_task(one) for one in accepting]
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no further connection, and let open ones come to an end."""
        for accepting in self._accepting:
            accepting.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        await super().shutdown(sockets)

    def _connection(self, *, is_proxy: bool) -> Connection:
        return Connection(self.config, self.server_state, {}, table=self._table, is_proxy=is_proxy)


async def serve(
    settings: Settings, *, announce: Callable[[str, str], None], sandbox: OpeningSandbox
) -> None:
    """Serve and work until SIGTERM or SIGINT.

    `announce` is given the address once it answers, and a link that logs a browser in.
    """
    late = LateQueues()
    open_queues = late.open if settings.is_one_process else _dockets()
    async with (
        open_appliance(settings, open_queues=open_queues, sandbox=sandbox) as appliance,
        AsyncExitStack() as stack,
    ):
        listener = stack.enter_context(listening_on(settings))
        at_home = stack.enter_context(listening_at(settings.home))
        app = make_app(appliance.services)
        tls = tls_context(settings.tls_certificate, settings.tls_key)
        proxy = stack.enter_context(listening_for_proxy(settings.proxy_socket))
        server = _server(appliance, app=app, tls=tls, proxy=proxy)
        _renew_on_hangup(settings, tls=tls)
        _stop_on_signals(server, appliance=appliance)
        keeping = periodic_work(
            appliance.services.access,
            store=appliance.services.store,
            clock=appliance.services.clock,
        )
        await stack.enter_async_context(keeping)
        await stack.enter_async_context(working(appliance.tasks))
        await appliance.services.deliveries.look()
        around = looping(appliance.around.loops(), notifier=appliance.services.notifier)
        await stack.enter_async_context(around)
        await asyncio.to_thread(_get_ready)
        await _note(appliance, action="appliance.start", details=settings_shown(settings))
        serving = asyncio.create_task(
            server.serve(sockets=[one for one in (listener, at_home, proxy) if one])
        )
        await _started(server, serving=serving)
        url = address_of(listener, settings=settings)
        (settings.home / ADDRESS_NAME).write_text(url, encoding="utf-8")
        code = appliance.services.access.login.links.give(local_admin(local_user()))
        announce(url, f"{url}/login?code={code}")
        late.begin()
        await serving
        await _note(appliance, action="worker.drain", details={"drain_s": settings.drain_s})
        log.info("no longer listening; running attempts may finish")


async def work(settings: Settings, *, sandbox: OpeningSandbox) -> None:
    """Work only, until SIGTERM or SIGINT."""
    async with (
        open_appliance(
            settings, open_queues=_dockets(), role=Role.WORKS, sandbox=sandbox
        ) as appliance,
        working(appliance.tasks),
    ):
        _on_signals(appliance.services.stopping.set, appliance.tasks.is_hurried.set)
        gc.set_threshold(*OFTEN)
        await _note(appliance, action="worker.start", details=settings_shown(settings))
        await appliance.services.stopping.wait()
        await _note(appliance, action="worker.drain", details={"drain_s": settings.drain_s})


def _dockets() -> OpenQueues:
    """Return what opens the queues in a Redis; to import it takes a quarter of a start."""
    return import_module(MODULE).dockets


async def _note(appliance: Appliance, *, action: str, details: JsonObject) -> None:
    """Write into the audit log what becomes of this process; secrets are masked in its settings."""
    await appliance.services.store.run(
        audit.append,
        at=appliance.services.clock(),
        who=f"local:{local_user()}",
        action=action,
        subject=appliance.tasks.worker.id,
        details=details,
    )


def settings_shown(settings: Settings) -> JsonObject:
    """Return the settings that are not as they come, without their secrets."""
    told = settings.model_dump(mode="json", include=settings.model_fields_set)
    return {"settings": told, "version": distribution_version("fumehood")}


def _server(
    appliance: Appliance, *, app: FastAPI, tls: ssl.SSLContext | None, proxy: socket.socket | None
) -> StoppableServer:
    bounds = bounds_of(appliance.services.settings)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=round(bounds.idle_s),
        http="httptools",
        ws="none",
        proxy_headers=False,  # runtime.http.entrance.proxies knows Forwarded and sockets too
    )
    return StoppableServer(config, table=ConnectionTable(bounds), tls=tls, proxy=proxy)


def bounds_of(settings: Settings) -> ConnectionBounds:
    """Return how many connections there may be, within what descriptors allow."""
    return ConnectionBounds(
        most=room_for(settings.connections),
        most_of_one=settings.connections_of_one,
        head_s=settings.head_s,
        idle_s=settings.idle_s,
        body_least_bytes_s=settings.body_least_kb_s * 1024,
        proxies=settings.proxies,
    )


def _get_ready() -> None:
    """Do now, beside the event loop, what would hold it at the first requests."""
    import_module(LATE_IMPORT)
    gc.set_threshold(*OFTEN)
    gc.freeze()


async def _started(server: StoppableServer, *, serving: asyncio.Task[None]) -> None:
    while not server.started:
        if serving.done():
            serving.result()
            raise RuntimeError("the server ended before it had started")
        await asyncio.sleep(0.005)


def _stop_on_signals(server: StoppableServer, *, appliance: Appliance) -> None:
    def stop() -> None:
        server.should_exit = True
        appliance.services.stopping.set()
        appliance.services.notifier.wake_all()

    def stop_now() -> None:
        server.force_exit = True
        appliance.tasks.is_hurried.set()

    _on_signals(stop, stop_now)


def _renew_on_hangup(settings: Settings, *, tls: ssl.SSLContext | None) -> None:
    """Take the certificate anew on SIGHUP; warn where everybody on the way could read along."""
    if tls is None and not is_loopback(settings.host):
        log.warning(
            "tokens and cookies go over %s in the clear: set tls_certificate and tls_key, or let "
            "it listen on 127.0.0.1 behind a proxy that speaks TLS",
            settings.host,
        )
    if settings.anonymous_reads:
        log.warning("anonymous_reads is set: whoever reaches the port reads jobs and outputs")
    certificate, key = settings.tls_certificate, settings.tls_key
    if tls is None or certificate is None or key is None:
        return

    def take_anew() -> None:
        try:
            renew(tls, certificate=certificate, key=key)
        except SettingsRefused as fault:
            log.error("the certificate is not renewed: %s", fault.what)
        else:
            log.info("the certificate is taken anew from %s", certificate)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, take_anew)


def is_loopback(host: str) -> bool:
    """Return whether `host` is reached from this host only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _on_signals(stop: Callable[[], None], stop_now: Callable[[], None]) -> None:
    """Stop in order at the first signal, at once at the second; the third kills."""
    acts = [stop, stop_now]
    loop = asyncio.get_running_loop()

    def act() -> None:
        if acts:
            acts.pop(0)()
        else:
            log.error("killed by the third signal: what ran is given back at the next start")
            os.kill(os.getpid(), signal.SIGKILL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, act)
