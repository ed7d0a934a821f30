"""Builds tiny, right wheels, and wrong ones on request."""

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from wheelhouse.store import Origin

UPLOADED = Origin(kind="uploaded", at=datetime(2026, 11, 1, tzinfo=UTC), by="ana")


def record_line(path: str, content: bytes) -> str:
    """Return the line of RECORD for `content` at `path`."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(content)}"


def wheel_files(
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    requires_python: str = "",
    files: Mapping[str, bytes] | None = None,
    tag: str = "py3-none-any",
    entry_points: str = "",
    headers: Sequence[str] = (),
) -> dict[str, bytes]:
    """Return what a wheel holds but its RECORD."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *headers]
    metadata += [f"Requires-Dist: {line}" for line in requires]
    metadata += [f"Requires-Python: {requires_python}"] if requires_python else []
    held = dict(files or {f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n".encode()})
    held[f"{info}/METADATA"] = ("\n".join(metadata) + "\n").encode()
    pure = str(tag.endswith("-any")).lower()
    wheel = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {pure}\nTag: {tag}\n"
    held[f"{info}/WHEEL"] = wheel.encode()
    if entry_points:
        held[f"{info}/entry_points.txt"] = entry_points.encode()
    return held


def pack_wheel(folder: Path, filename: str, held: Mapping[str, bytes], *, record: str = "") -> Path:
    """Write a wheel of `held` files; `record` replaces the RECORD that would be right."""
    info = next(path.split("/")[0] for path in held if ".dist-info/" in path)
    right = "".join(f"{record_line(path, content)}\n" for path, content in held.items())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / filename
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for inner, content in held.items():
            entry = zipfile.ZipInfo(inner, (2026, 1, 1, 0, 0, 0))
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
        archive.writestr(f"{info}/RECORD", record or f"{right}{info}/RECORD,,\n")
    return path


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
    requires_python: str = "",
    files: Mapping[str, bytes] | None = None,
    entry_points: str = "",
    headers: Sequence[str] = (),
) -> Path:
    """Write a right wheel of `name` to `folder`."""
    held = wheel_files(
        name,
        version,
        tag=tag,
        requires=requires,
        requires_python=requires_python,
        files=files,
        entry_points=entry_points,
        headers=headers,
    )
    return pack_wheel(folder, f"{name.replace('-', '_')}-{version}-{tag}.whl", held)
