"""`fumehood login`: a link that logs a browser in."""

import os

from runtime.cli.client import connected, server_url
from runtime.cli.output.printing import AsJson, emit
from runtime.client.operations import make_link
from runtime.home.socket import address_in
from runtime.settings.settings import load


def login(*, as_json: AsJson = False) -> None:
    """Print a link that logs a browser in as who runs this: good once, and for ten minutes."""
    with connected() as client:
        path = client.ask(make_link())["path"]
    here = "" if "FUMEHOOD_URL" in os.environ else address_in(load({}).settings.home)
    emit({"url": (here or server_url()) + path}, as_json=as_json, show=lambda found: found["url"])
