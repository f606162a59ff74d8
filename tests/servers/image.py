"""A small base image, made on the spot from programs of the machine it is made on: no download, no package.

It has a shell and what the tests' Dockerfiles call, and behaves like a distribution's image in what matters: users,
a /tmp, a PATH, several programs with their libraries.
"""

import gzip
import io
import re
import subprocess
import tarfile
from pathlib import Path

PROGRAMS = ("base64", "cat", "chown", "dd", "head", "id", "mkdir", "sleep", "stat")
CONFIG = {"Env": ["PATH=/usr/bin:/bin", "FROM_BASE=yes"], "Cmd": ["/bin/sh"], "Labels": {"base": "yes"}}


def _libraries(program):
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(?:=> )?(/\S+) \(0x", said)


def layer(more=()):
    """One layer as (compressed bytes, uncompressed bytes), the same on every call on one machine.

    `more`: names of further programs of this machine.
    """
    files = {"bin/sh": "/bin/dash", **{f"bin/{name}": f"/usr/bin/{name}" for name in (*PROGRAMS, *more)}}
    for program in list(files.values()):
        for library in _libraries(program):
            files[library.lstrip("/")] = library
    content = {name: Path(source).resolve().read_bytes() for name, source in files.items()}
    content["etc/passwd"] = b"root:x:0:0:root:/:/bin/sh\nreader:x:1234:1234::/:/bin/sh\n"
    content["etc/group"] = b"root:x:0:\nreader:x:1234:\n"
    folders = {parent.as_posix() for name in content for parent in Path(name).parents} - {"."}
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for folder in sorted(folders | {"dev", "proc", "sys", "tmp", "run", "usr", "usr/bin"}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        for name, data in sorted(content.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644 if name.startswith("etc/") else 0o755
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), 1, mtime=0), plain.getvalue()
