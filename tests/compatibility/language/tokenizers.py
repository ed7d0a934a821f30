# /// script
# dependencies = ["tokenizers"]
# ///

from tokenizers import Tokenizer, models, trainers, pre_tokenizers


def extract(*, job, **_):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    t.train_from_iterator(
        ["hello world"] * 500, trainers.BpeTrainer(vocab_size=50, show_progress=False)
    )
    t.save(str(job.output_dir / "t.json"))
    return [e.tokens for e in t.encode_batch(["hello"] * 3)]
