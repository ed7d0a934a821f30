# /// script
# dependencies = ["spacy"]
# ///

import spacy


def extract(*, job, **_):
    nlp = spacy.blank("de")
    nlp.add_pipe("sentencizer")
    d = nlp("Das ist gut. Sehr gut sogar.")
    nlp.to_disk(job.output_dir / "m")
    try:
        spacy.load("en_core_web_sm")
    except OSError as e:
        err = str(e)[:60]
    return [
        [t.text for t in d],
        len(list(d.sents)),
        len(list(nlp.pipe(["a b"] * 4, n_process=2))),
        err,
    ]
