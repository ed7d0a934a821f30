"""A run serves itself by UNIX sockets, and is told why it cannot by TCP."""

import pytest

from sandbox.command import Level, Outcome
from sandbox.walls import messages

STARTS = pytest.mark.parametrize("start", ["cold", "warm"])
SERVERS = {
    "asyncio": """
import asyncio
async def main(place):
    async def double(reader, writer):
        writer.write(await reader.read(2) * 2)
        writer.close()
    async with await asyncio.start_unix_server(double, place):
        reader, writer = await asyncio.open_unix_connection(place)
        writer.write(b"ab")
        said = await reader.read()
        writer.close()
        return said.decode()
def serve(place):
    return asyncio.run(main(place))
""",
    "http.server": """
import http.client, http.server, socket, socketserver, threading
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    address_family = socket.AF_UNIX
    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"abab")
    def address_string(self):
        return "a socket"
class Client(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)
def serve(place):
    with Server(place, Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = Client("localhost")
        client.host = place
        client.request("GET", "/")
        said = client.getresponse().read().decode()
        server.shutdown()
    return said
""",
    "multiprocessing": """
from multiprocessing.managers import BaseManager
class Managed(BaseManager):
    pass
class Doubling:
    def double(self, text):
        return text * 2
Managed.register("Doubling", Doubling)
def serve(place):
    with Managed() as manager:
        return manager.Doubling().double("ab")
""",
}


@STARTS
@pytest.mark.parametrize("server", SERVERS)
async def test_a_run_serves_itself_by_a_unix_socket(lab, warm, server: str, start: str):
    code = SERVERS[server] + (
        "\ndef extract(*, job, **_):\n    return serve(str(job.scratch_dir / 'served'))\n"
    )
    command = lab.command(code)
    command = warm(command) if start == "warm" else command
    outcomes = [await lab.run(command) for _ in range(2)]
    assert [outcome.value for outcome in outcomes] == ["abab", "abab"], outcomes
    assert {outcome.isolation.start for outcome in outcomes} == {start}


TCP_SERVERS = {
    "asyncio": "asyncio.run(asyncio.start_server(print, '127.0.0.1', 8081))",
    "http.server": "http.server.ThreadingHTTPServer(('127.0.0.1', 0), None)",
    "multiprocessing": "managers.BaseManager(('127.0.0.1', 0)).get_server()",
    "socket": "socket.create_server(('127.0.0.1', 0))",
}


@STARTS
@pytest.mark.parametrize("server", TCP_SERVERS)
async def test_a_server_by_tcp_is_told_which_wall_it_is_and_what_to_do(run, server: str):
    code = f"""
    import asyncio, http.server, socket
    from multiprocessing import managers
    def extract(*, job, **_):
        {TCP_SERVERS[server]}
    """
    outcome = await run(code)
    if outcome.is_ok:  # CPython 3.12.1 has servers without a socket, and finds nothing wrong
        assert (server, outcome.isolation.level) == ("asyncio", Level.UNPRIVILEGED)
        return
    assert outcome.failure is not None
    assert "a run has no port to listen at" in outcome.failure.what, outcome
    assert "UNIX socket" in outcome.failure.mend


@STARTS
async def test_a_cold_run_has_the_network_of_a_warm_one_which_is_none(lab, warm, start: str):
    code = """
    import errno, socket
    def extract(*, job, **_):
        said = []
        for place in ("127.0.0.1", "192.0.2.1", "224.0.0.1"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                said.append(errno.errorcode[sock.connect_ex((place, 9))])
        with open("/proc/self/status") as status:
            powers = {line.split()[1] for line in status if line.startswith("Cap")}
        return [*said, sorted(powers)]
    """
    command = lab.command(code)
    outcome = await lab.run(warm(command) if start == "warm" else command)
    assert outcome.value == [*["ENETUNREACH"] * 3, ["0000000000000000"]], outcome
    assert network(outcome) == "a network namespace with nothing in it"


async def test_a_run_that_stays_where_a_loopback_is_up_is_told_so(lab, monkeypatch):
    """As where AppArmor takes its capabilities from all that bubblewrap starts."""
    setup = messages.setup
    monkeypatch.setattr(
        messages, "setup", lambda *about, **how: setup(*about, **how) | {"leaves_network": False}
    )
    outcome = await lab.run(lab.command("def extract(*, job, **_):\n    return 1\n"))
    assert network(outcome) == "a network namespace with its own loopback in it"


def network(outcome: Outcome) -> str:
    return next(one.detail for one in outcome.isolation.layers if one.name == "no network")
