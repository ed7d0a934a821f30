import json
import pathlib


def extract(*, job, **_):
    counts = {}
    for number, path in enumerate(job.inputs, start=1):
        text = pathlib.Path(path).read_text()
        counts[pathlib.Path(path).name] = len(text.split())
        job.progress(number, len(job.inputs), pathlib.Path(path).name)
        print(f"read {pathlib.Path(path).name}")
    out = pathlib.Path(job.output_dir) / "tables"
    out.mkdir()
    (out / "counts.json").write_text(json.dumps(counts))
    job.event("counted", files=len(counts))
    return {"files": len(counts), "notes": [f"asked by {job.parameters.get('who', 'nobody')}"]}
