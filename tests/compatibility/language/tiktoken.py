# /// script
# dependencies = ["tiktoken"]
#
# [tool.compatibility]
# differs = "network"
# ///

import tiktoken


def extract(*, job, **_):
    try:
        return tiktoken.get_encoding("cl100k_base").encode("hello")
    except Exception as e:
        return type(e).__name__ + ": " + str(e)[-160:]
