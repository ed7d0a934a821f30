# /// script
# dependencies = ["httpx"]
#
# [tool.compatibility]
# differs = "network"
# ///

import httpx


def extract(*, job, **_):
    try:
        return httpx.get("https://example.com", timeout=20).status_code
    except Exception as e:
        return type(e).__name__ + ": " + str(e)[:200]
