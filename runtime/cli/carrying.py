"""`fumehood wheelhouse export|import|mirror`: wheels from where there is a network to where not."""

import asyncio
import getpass
from pathlib import Path
from typing import Annotated

import typer

from packages.interpreters import running
from packages.mirror import Mirror
from runtime.cli.printing import AsJson, emit
from runtime.cli.wheelhouse import app
from runtime.clock import utc_now
from runtime.house import index_of, wheelhouse_of
from runtime.settings import load
from wheelhouse.carry import export_wheels, import_wheels

DEFAULT_PLATFORM = "manylinux_2_28_x86_64"


@app.command("export")
def export_all(
    names: Annotated[list[str] | None, typer.Argument(help="Only these distributions.")] = None,
    *,
    to: Annotated[Path, typer.Option("--to", "-o", help="The archive to write.")],
    key: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="The private key to sign with (PEM)."),
    ],
    as_json: AsJson = False,
) -> None:
    """Write wheels to one signed archive, to be carried to another house."""
    house = wheelhouse_of(load().settings.home)
    chosen = [wheel for name in names for wheel in house.find(name)] if names else house.wheels()
    number = export_wheels(house, chosen, to=to, private_key_pem=key.read_bytes(), at=utc_now())
    emit(
        {"archive": str(to), "wheels": number},
        as_json=as_json,
        show=lambda done: f"{done['wheels']} wheels are in {done['archive']}",
    )


@app.command("import")
def import_all(
    archive: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The archive.")],
    *,
    trust: Annotated[list[Path], typer.Option(help="A public key (PEM); can be repeated.")],
    as_json: AsJson = False,
) -> None:
    """Add the wheels of a carried archive, each judged anew; its signature is checked first."""
    carried = import_wheels(
        wheelhouse_of(load().settings.home),
        archive,
        public_keys_pem=[path.read_bytes() for path in trust],
        clock=utc_now,
        by=getpass.getuser(),
    )
    emit(
        {
            "added": [wheel.filename for wheel in carried.added],
            "known": [wheel.filename for wheel in carried.known],
            "keyid": carried.keyid,
        },
        as_json=as_json,
        show=lambda done: f"{len(done['added'])} wheels are new, {len(done['known'])} were here",
    )


@app.command()
def mirror(
    wanted: Annotated[str, typer.Argument(help="A requirement, or a file of them (or a lock).")],
    python: Annotated[list[str] | None, typer.Option(help="For this Python; repeatable.")] = None,
    platform: Annotated[
        list[str] | None, typer.Option(help="For this platform, such as manylinux_2_28_x86_64.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Fetch all that requirements need from the index, on a connected machine, into the house.

    Whoever runs this decides to use the network: the gate of an appliance is not asked.
    """
    settings = load().settings
    interpreter = running()
    file = Path(wanted)
    mirroring = Mirror(
        house=wheelhouse_of(settings.home),
        index=index_of(settings.index),
        clock=utc_now,
        python=interpreter.executable,
        by=getpass.getuser(),
    )
    done = asyncio.run(
        mirroring.mirror(
            file.read_text(encoding="utf-8") if file.is_file() else wanted,
            pythons=python or [".".join(interpreter.version.split(".")[:2])],
            platforms=platform or [DEFAULT_PLATFORM],
            is_lock=file.name.startswith("pylock") and file.suffix == ".toml",
        )
    )
    emit(
        {
            "fetched": [wheel.filename for wheel in done.fetched],
            "already_here": done.already_here,
        },
        as_json=as_json,
        show=lambda _: f"fetched {len(done.fetched)} wheels; {done.already_here} were here already",
    )
