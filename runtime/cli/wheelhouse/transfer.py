"""`fumehood wheelhouse export|import|mirror`: wheels from where there is a network to where not."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from packages.bundle.requirements import MOST_BYTES, Requirements
from packages.interpreters import running
from packages.judging import REQUIREMENTS
from packages.lock.mirror import Mirror
from runtime.cli.input.targets import DEFAULT_PLATFORM, Platforms, Pythons
from runtime.cli.output.printing import AsJson, emit
from runtime.cli.wheelhouse.listing import found_of
from runtime.faults.errors import InputRefused
from runtime.home.factories import index_of, policy_of, wheelhouse_of
from runtime.home.local_user import local_user
from runtime.home.offline_database import write_down
from runtime.settings.settings import load
from runtime.values.clock import utc_now
from wheelhouse.carrier.carry import export_wheels, import_wheels
from wheelhouse.judges.pool import Judges


def export_all(
    names: Annotated[list[str] | None, typer.Argument(help="Only these distributions.")] = None,
    *,
    to: Annotated[Path, typer.Option("--to", "-o", help="The archive to write.")],
    key: Annotated[
        Path,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="The private key to sign with: PEM, by `openssl genpkey -algorithm ed25519`.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Write wheels to one signed archive, to be carried to another wheelhouse."""
    if not to.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {to.parent}", param_hint="--to")
    wheelhouse = wheelhouse_of(load().settings.home)
    chosen = (
        [w for name in names for w in found_of(wheelhouse, name)] if names else wheelhouse.wheels()
    )
    number = export_wheels(
        wheelhouse, chosen, to=to, private_key_pem=key.read_bytes(), at=utc_now()
    )
    emit(
        {"archive": str(to), "wheels": number},
        as_json=as_json,
        show=lambda done: f"{done['wheels']} wheels are in {done['archive']}",
    )


def import_all(
    archive: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The archive.")],
    *,
    trust: Annotated[
        list[Path],
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A public key: PEM, by `openssl pkey -in KEY -pubout`; can be repeated.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Add the wheels of a carried archive, each judged anew; its signature is checked first."""
    settings = load().settings
    carried = import_wheels(
        wheelhouse_of(settings.home),
        archive,
        public_keys_pem=[path.read_bytes() for path in trust],
        clock=utc_now,
        by=local_user(),
    )
    for wheel in carried.added:
        details = {"sha256": wheel.sha256, "carrier": archive.name, "keyid": carried.keyid}
        write_down(settings, action="wheel.import", subject=wheel.filename, details=details)
    emit(
        {
            "added": [wheel.filename for wheel in carried.added],
            "known": [wheel.filename for wheel in carried.known],
            "keyid": carried.keyid,
        },
        as_json=as_json,
        show=lambda done: f"{len(done['added'])} wheels are new, {len(done['known'])} were here",
    )


def mirror(
    wanted: Annotated[str, typer.Argument(help="A requirement, or a file of them (or a lock).")],
    python: Pythons = None,
    platform: Platforms = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Fetch all that requirements need from the index, on a connected machine, into the wheelhouse.

    Whoever runs this decides to use the network: the gate of an appliance is not asked.
    """
    settings = load().settings
    interpreter = running()
    asked, lock = _asked(wanted)
    mirroring = Mirror(
        wheelhouse=wheelhouse_of(settings.home),
        index=index_of(settings.index),
        clock=utc_now,
        python=interpreter.executable,
        by=local_user(),
        policy=policy_of(settings.lock),
    )
    done = asyncio.run(
        mirroring.mirror(
            asked,
            lock=lock,
            pythons=python or [".".join(interpreter.version.split(".")[:2])],
            platforms=platform or [DEFAULT_PLATFORM],
        )
    )
    for wheel in done.fetched:
        details = {"sha256": wheel.sha256, "index": wheel.origin.index}
        write_down(settings, action="wheel.mirror", subject=wheel.filename, details=details)
    emit(
        {
            "fetched": [wheel.filename for wheel in done.fetched],
            "already_here": done.already_here,
        },
        as_json=as_json,
        show=lambda _: f"fetched {len(done.fetched)} wheels; {done.already_here} were here already",
    )


def _asked(wanted: str) -> tuple[Requirements | None, str]:
    """Return the requirements, or the text of the lock, that `wanted` names or is.

    Raises InputRefused for what a bundle's requirements may not have either: whoever wrote
    the file does not choose the index.
    """
    file = Path(wanted)
    if not file.is_file() and (file.suffix in {".txt", ".toml"} or file.exists()):
        raise typer.BadParameter(f"there is no file {wanted}", param_hint="wanted")
    if not file.is_file():
        texts, start = {"requirements": wanted}, "requirements"
    elif file.name.startswith("pylock") and file.suffix == ".toml":
        return None, file.read_text(encoding="utf-8", errors="replace")
    else:
        beside = [path for path in file.parent.iterdir() if path.suffix == ".txt"]
        texts = {path.name: _text(path) for path in {file, *beside} if path.is_file()}
        start = file.name
    with Judges() as judges:
        requirements, problems = judges.judge(REQUIREMENTS, about=start, texts=texts, start=start)
    if problems or requirements is None:
        raise InputRefused("These requirements cannot be mirrored", problems=problems)
    return requirements, ""


def _text(path: Path) -> str:
    """Return the beginning of a file, as much as is read of requirements and a byte more."""
    with path.open("rb") as stream:
        return stream.read(MOST_BYTES + 1).decode("utf-8", "replace")
