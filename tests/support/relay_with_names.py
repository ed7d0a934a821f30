"""A relay whose look-ups are a table: what a name leads to at its first look, its second, …"""

import socket
import sys
from pathlib import Path

ANSWERS = {
    "localhost": ["127.0.0.1"],
    "service.test": ["127.0.0.1"],
    "other.test": ["127.0.0.1"],
    "six.test": ["::1"],
    "both.test": ["10.1.2.3", "127.0.0.1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "public.test": ["93.184.216.34"],
    "metadata.test": ["169.254.169.254"],
}
TURNS = {"turning.test": [["192.0.2.1"], ["127.0.0.1"]]}
"""DNS rebinding: public at first (as far as a test may go: nobody is there), then private."""


async def resolve(host: str, port: int) -> list[str]:
    if host in TURNS:
        turns = TURNS[host]
        return turns.pop(0) if len(turns) > 1 else turns[0]
    if host == "own.test":
        return [own_address()]
    if host not in ANSWERS:
        raise OSError(f"{host} is not in the table")
    return ANSWERS[host]


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))
        return sock.getsockname()[0]


def main() -> None:
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    from sandbox.network import process

    process.main(int(sys.argv[1]), resolve=resolve)


if __name__ == "__main__":
    main()
