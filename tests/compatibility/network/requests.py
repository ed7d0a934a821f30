# /// script
# dependencies = ["requests"]
#
# [tool.compatibility]
# differs = "network"
# ///

import requests


def extract(*, job, **_):
    try:
        return requests.get("https://example.com", timeout=20).status_code
    except Exception as e:
        return type(e).__name__ + ": " + str(e)[-200:]
