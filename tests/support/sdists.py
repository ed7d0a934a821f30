"""A source distribution whose backend looks around before it builds."""

import io
import tarfile
from pathlib import Path

BACKEND = """
import base64, hashlib, os, socket, zipfile

def get_requires_for_build_wheel(settings=None):
    return ["extra-tool"]

def build_wheel(folder, settings=None, metadata=None):
    import extra_tool
    try:
        socket.create_connection(("127.0.0.1", 9), timeout=1)
        raise SystemExit("there is a network")
    except OSError:
        pass
    open("written.txt", "w").write("backends write into the tree")
    info = "thing-1.0.dist-info"
    held = {
        "thing.py": "VERSION = '1.0'\\nBUILT_WITH = " + repr(extra_tool.VERSION) + "\\n",
        info + "/METADATA": "Metadata-Version: 2.1\\nName: thing\\nVersion: 1.0\\n",
        info + "/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    record = ""
    for path, text in held.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        record += path + ",sha256=" + digest.decode().rstrip("=") + "," + str(len(text)) + "\\n"
    name = "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        for path, text in held.items():
            archive.writestr(path, text)
        archive.writestr(info + "/RECORD", record + info + "/RECORD,,\\n")
    return name
"""
SYSTEM = '[build-system]\nrequires = ["tool"]\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def sdist_of(folder: Path, files: dict[str, str]) -> Path:
    """Write a source distribution that holds `files`."""
    path = folder / "thing-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"thing-1.0/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path
