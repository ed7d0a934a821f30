"""The entry point: a messy workbook in, `table.csv` and `issues.json` out."""

import json

import pandas
from workbook import read_sheets


def extract(*, job, **_):
    """Tidy every sheet of every workbook into one table."""
    frames, issues = [], []
    for done, path in enumerate(job.inputs, start=1):
        for sheet in read_sheets(path):
            frame = pandas.DataFrame(sheet.rows, columns=sheet.columns)
            frame.insert(0, "sheet", sheet.name)
            frames.append(frame)
            issues.extend(sheet.issues)
        job.progress(done, len(job.inputs), f"read {path.name}")
    table = pandas.concat(frames, ignore_index=True) if frames else pandas.DataFrame()
    table.to_csv(job.output_dir / "table.csv", index=False)
    text = json.dumps(issues, indent=2, ensure_ascii=False)
    (job.output_dir / "issues.json").write_text(text + "\n", encoding="utf-8")
    for issue in issues:
        job.log.warning(f"{issue['sheet']}!{issue['cell']}: {issue['what']}")
    return {
        "rows": len(table),
        "columns": list(table.columns),
        "issues": len(issues),
        "notes": f"{len(issues)} cells need a look" if issues else "every cell was read",
    }
