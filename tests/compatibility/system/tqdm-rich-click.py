# /// script
# dependencies = ["tqdm", "rich", "click", "typer", "loguru", "structlog", "colorama"]
# ///

import tqdm, rich.console, rich.progress, click, typer, loguru, time
from rich.table import Table


def extract(*, job, **_):
    for _i in tqdm.tqdm(range(50)):
        time.sleep(0.002)
    for _i in rich.progress.track(range(5)):
        pass
    rich.console.Console().print(Table("a", "b", title="T"))
    click.echo("hi")
    loguru.logger.info("log line")
    print("x" * 300)
    return 1
