import pathlib


def run(*, context, **_):
    print("warming up")
    (pathlib.Path(context.output_dir) / "stopwords.txt").write_text("the\n")
