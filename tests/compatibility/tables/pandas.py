# /// script
# dependencies = ["pandas"]
# ///

import pandas as pd


def extract(*, job, **_):
    df = pd.DataFrame(
        {
            "d": pd.date_range("2026-01-01", periods=6, tz="Europe/Berlin"),
            "g": list("ababab"),
            "v": range(6),
        }
    )
    df.to_csv(job.output_dir / "a.csv", index=False)
    back = pd.read_csv(job.output_dir / "a.csv", parse_dates=["d"])
    return {
        "sum": back.groupby("g")["v"].sum().to_dict(),
        "tz": str(df.d.dt.tz),
        "h": int(df.d.dt.tz_convert("America/New_York").dt.hour.sum()),
    }
