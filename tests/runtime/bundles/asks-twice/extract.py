"""Asks twice, before it does anything that takes long."""


def extract(*, job, **_):
    (job.output_dir / "half.txt").write_text("half")
    currency = job.ask("currency", "Which <b>currency</b>?", {"enum": ["EUR", "USD"]})
    rate = job.ask("rate", "At which rate?", {"type": "number", "minimum": 0})
    (job.output_dir / "done.txt").write_text(f"{currency} {rate}")
    return {"currency": currency, "rate": rate}
