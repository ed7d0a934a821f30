"""Judges a source distribution, in a judge: unpacks it aside and reads how it says it is built."""

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from frozen.values import frozen
from packages.bundle.tarballs import judge_tarball
from packages.bundle.toml import read_toml
from wheelhouse.archives.judging import Ceilings
from wheelhouse.judges.budget import Budget
from wheelhouse.judges.judgement import Judgement
from wheelhouse.problem import Problem, shown

SETUPTOOLS = ("setuptools>=40.8.0", "wheel")
LEGACY_BACKEND = "setuptools.build_meta:__legacy__"
CEILINGS = Ceilings(archive_bytes=512 * 1024**2, entries=50_000, unpacked_bytes=2 * 1024**3)
MOST_PYPROJECT_BYTES = 1 << 20
MOST_REQUIRES = 100


@frozen
class System:
    """The [build-system] table of a source tree (PEP 518), with its defaults."""

    folder: str
    """The one folder of the archive, which holds pyproject.toml."""
    requires: tuple[str, ...]
    backend: str
    backend_path: tuple[str, ...]


TABLE = TypeAdapter(dict[str, object])
TEXTS = TypeAdapter(tuple[str, ...])
SDIST = Judgement(
    target="packages.environment.source_judging:judge_sdist",
    returns=TypeAdapter(System),
    budget=Budget(cpu_s=60, wall_s=180),
)


def judge_sdist(sdist: str, *, folder: str, name: str) -> tuple[System | None, Sequence[Problem]]:
    """Unpack the .tar.gz at `sdist` into the empty `folder`; return how it says it is built."""
    target = Path(folder)

    def keep(entry: tarfile.TarInfo, chunks: Iterator[bytes]) -> None:
        path = target / entry.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as stream:
            for chunk in chunks:
                stream.write(chunk)
        path.chmod(0o644)

    problems = judge_tarball(Path(sdist), name=name, ceilings=CEILINGS, sink=keep)
    folders = [path for path in target.iterdir() if path.is_dir()]
    if not problems and len(folders) != 1:
        problems = [_fault("bad-sdist", "it does not hold exactly one folder", name)]
    return (None, problems) if problems else _build_system(folders[0])


def _build_system(tree: Path) -> tuple[System | None, Sequence[Problem]]:
    file = tree / "pyproject.toml"
    try:
        table = TABLE.validate_python(_read(file).get("build-system", {})) if file.is_file() else {}
        system = System(
            folder=tree.name,
            requires=_texts(table.get("requires", SETUPTOOLS)),
            backend=str(table.get("build-backend", LEGACY_BACKEND)),
            backend_path=_texts(table.get("backend-path", ())),
        )
    except (ValueError, RecursionError) as error:  # pydantic's ValidationError is a ValueError
        return None, [_fault("bad-pyproject", shown(str(error), most=300), file.name)]
    if any(part.startswith("/") or ".." in part.split("/") for part in system.backend_path):
        what = "backend-path leads out of the source tree"
        return None, [_fault("bad-pyproject", what, file.name)]
    if len(system.requires) > MOST_REQUIRES:
        what = f"it requires {len(system.requires)} distributions; the limit is {MOST_REQUIRES}"
        return None, [_fault("bad-pyproject", what, file.name)]
    return system, []


def _read(file: Path) -> dict[str, Any]:
    if file.stat().st_size > MOST_PYPROJECT_BYTES:
        raise ValueError(f"it is larger than {MOST_PYPROJECT_BYTES} bytes")
    return read_toml(file.read_text("utf-8"))


def _texts(value: object) -> tuple[str, ...]:
    """Return what should be a list of texts. Raises ValueError."""
    return TEXTS.validate_python(value)


def _fault(code: str, what: str, where: str) -> Problem:
    mend = "build the wheel elsewhere, and add it: `fumehood wheelhouse add FILE`"
    return Problem(code=code, what=what, where=where, mend=mend)
