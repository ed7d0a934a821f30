# /// script
# dependencies = ["transformers", "huggingface-hub", "numpy", "tokenizers"]
#
# [tool.compatibility]
# differs = "network"
# ///

import transformers, huggingface_hub


def extract(*, job, **_):
    try:
        transformers.AutoTokenizer.from_pretrained("bert-base-uncased")
    except Exception as e:
        return type(e).__name__ + ": " + str(e)[:120]
