"""Small servers on the host's loopback, for runs that may reach them and runs that may not."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def serving(answer: Callable[[socket.socket], None], *, host: str = "127.0.0.1") -> Iterator[int]:
    """Serve each connection by `answer` in a thread of its own; offer the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.bind((host, 0))
    listener.listen(64)
    threading.Thread(target=_accept, args=(listener, answer), daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def saying(text: str) -> Callable[[socket.socket], None]:
    """Return an answer that says `text` to whoever connects."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(text.encode())

    return answer


def echo(connection: socket.socket) -> None:
    """Say back all that is said, until the other side has ended."""
    while chunk := connection.recv(65_536):
        connection.sendall(chunk)


def _accept(listener: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection, answer), daemon=True).start()


def _answer(connection: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    with connection, contextlib.suppress(OSError):
        answer(connection)
