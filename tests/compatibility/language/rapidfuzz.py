# /// script
# dependencies = ["rapidfuzz", "langdetect", "snowballstemmer", "unidecode", "ftfy", "pyspellchecker"]
# ///

import rapidfuzz, langdetect, unidecode, ftfy, snowballstemmer
from rapidfuzz import process, fuzz


def extract(*, job, **_):
    langdetect.DetectorFactory.seed = 0
    return [
        rapidfuzz.process.cdist(["a", "ab"], ["ab", "b"], scorer=fuzz.ratio, workers=2).tolist()
        if False
        else fuzz.ratio("abc", "abd"),
        langdetect.detect("Dies ist ein deutscher Text"),
        unidecode.unidecode("ü"),
        ftfy.fix_text("Ã¼"),
        snowballstemmer.stemmer("german").stemWord("laufen"),
    ]
