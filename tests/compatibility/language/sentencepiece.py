# /// script
# dependencies = ["sentencepiece"]
# ///

import sentencepiece as spm


def extract(*, job, **_):
    (job.scratch_dir / "t.txt").write_text(
        "\n".join("the quick brown fox %d jumps over lazy dogs" % i for i in range(300))
    )
    spm.SentencePieceTrainer.train(
        input=str(job.scratch_dir / "t.txt"),
        model_prefix=str(job.output_dir / "m"),
        vocab_size=60,
        num_threads=2,
    )
    return spm.SentencePieceProcessor(model_file=str(job.output_dir / "m.model")).encode(
        "the fox", out_type=str
    )
