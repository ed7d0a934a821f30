"""The sockets that are listened on: the port, the one in the home, and one for a proxy."""

import socket
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from runtime.faults.errors import AddressTaken, SettingsRefused
from runtime.home.socket import SOCKET_NAME, short_of
from runtime.settings.settings import Settings


@contextmanager
def listening_on(settings: Settings) -> Generator[socket.socket]:
    """Listen where the settings say. Raises SettingsRefused or AddressTaken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named: with 0, which means the same to
    # the kernel, Nagle and delayed acknowledgements cost a keep-alive answer 43 ms (measured).
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind(listener, host=settings.host, port=settings.port)
        listener.listen(2048)
        yield listener


@contextmanager
def listening_at(home: Path) -> Generator[socket.socket]:
    """Listen in the home too, for the commands of the same user: it needs no network at all.

    A socket that was left there, or a link, is removed; raises SettingsRefused for anything else.
    """
    path = home / SOCKET_NAME
    if path.exists(follow_symlinks=False) and not (path.is_symlink() or path.is_socket()):
        raise SettingsRefused(
            f"{path} is no socket",
            where="home",
            mend="look at who put it there, then move it away",
        )
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, short_of(home) as short:
        listener.bind(short)
        path.chmod(0o600)
        listener.listen(2048)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def _bind(listener: socket.socket, *, host: str, port: int) -> None:
    try:
        listener.bind((host, port))
    except socket.gaierror as error:
        raise SettingsRefused(
            f"{host} is not an address of this host: {error.strerror}",
            where="host",
            mend="give one with --host, such as 127.0.0.1, or 0.0.0.0 for all",
        ) from error
    except OSError as error:
        raise AddressTaken(
            f"{host} port {port} cannot be listened on: {error.strerror}",
            where=f"{host}:{port}",
            mend="choose another with --port (0 picks a free one), or stop what listens there",
        ) from error


def address_of(listener: socket.socket, *, settings: Settings) -> str:
    """Return the address at which `listener` is reached."""
    port, host = listener.getsockname()[1], settings.host
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if settings.tls_certificate else 'http'}://{shown}:{port}"


@contextmanager
def listening_for_proxy(path: Path | None) -> Generator[socket.socket | None]:
    """Listen at `path` for a proxy, of the socket's group if it is another user's.

    Raises SettingsRefused where something else is there, or where it cannot be.
    """
    if path is None:
        yield None
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            if path.exists() and stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink()
            listener.bind(str(path))
            path.chmod(0o660)
        except OSError as error:
            raise SettingsRefused(
                f"{path} cannot be listened on: {error.strerror or error}",
                where="proxy_socket",
                mend="name a path in a folder that this user may write to, of 107 bytes at most",
            ) from error
        listener.listen(2048)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)
