# /// script
# dependencies = ["nltk"]
#
# [tool.compatibility]
# differs = "network"
# ///

import nltk
from nltk.stem import PorterStemmer


def extract(*, job, **_):
    s = PorterStemmer().stem("running")
    ok = nltk.download("punkt_tab")
    try:
        w = nltk.word_tokenize("Hello world.")
    except LookupError as e:
        w = "LookupError"
    return [s, ok, w]
