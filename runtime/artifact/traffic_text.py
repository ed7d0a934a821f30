"""What a run with network carried and was refused, in words. Pure."""

from collections.abc import Mapping
from typing import Any


def connection_text(connection: Mapping[str, Any]) -> str:
    """Return what became of one connection, as the log shows it.

    >>> connection_text({"host": "a.test", "port": 443, "state": "refused", "why": "so"})
    'refused a.test:443: so'
    """
    place = f"{connection.get('state')} {connection.get('host')}:{connection.get('port')}"
    why = f": {connection['why']}" if connection.get("why") else ""
    if connection.get("state") != "carried":
        return place + why
    return f"{place}, {connection.get('in_bytes')} bytes in, {connection.get('out_bytes')} out{why}"


def traffic_text(traffic: Mapping[str, Any]) -> str:
    """Return the totals of a run, and the places that it wanted and was refused."""
    text = (
        f"{traffic['connections']} connections, {traffic['in_bytes']} bytes in, "
        f"{traffic['out_bytes']} out"
    )
    if not traffic["refused"]:
        return text
    wanted = [f"{one['host']}:{one['port']}" for one in traffic["first"] if _is_refused(one)]
    return f"{text}; {traffic['refused']} refused: {', '.join(dict.fromkeys(wanted))}"


def _is_refused(connection: Mapping[str, Any]) -> bool:
    return connection["state"] == "refused"
