"""A layout (OCI, or a folder as `dir:` writes it) as the files a container would see: layers in memory, whiteouts applied.

Only headers are kept; contents are read when asked for. Paths are relative, without a leading slash.
"""

import gzip
import io
import json
import posixpath
import tarfile
from pathlib import Path


class Image:
    def __init__(self, layout: Path, owners=True):
        """`owners` False: this pod cannot keep them, so owner() has nothing to say."""
        self.layout, self.owners = Path(layout), owners
        if (self.layout / "index.json").exists():
            index = json.loads((self.layout / "index.json").read_text())
            self.manifest = json.loads(self._blob(index["manifests"][0]["digest"]))
        else:
            self.manifest = json.loads((self.layout / "manifest.json").read_text())
        self.configuration = json.loads(self._blob(self.manifest["config"]["digest"]))
        self.config = self.configuration["config"]
        self.layers, self.files = [], {}
        for layer in self.manifest["layers"]:
            self._apply(layer)

    def _path(self, digest):
        blobs = self.layout / "blobs"
        return blobs / digest.replace(":", "/") if blobs.exists() else self.layout / digest.partition(":")[2]

    def _blob(self, digest):
        return self._path(digest).read_bytes()

    def _open(self, digest):
        opened = open(self._path(digest), "rb")
        if opened.peek(2)[:2] == b"\x1f\x8b":
            opened = gzip.open(opened)
        return tarfile.open(fileobj=opened)

    def _apply(self, layer):
        names, opaque, deleted, brought = [], [], [], {}
        with self._open(layer["digest"]) as archive:
            for entry in archive:
                path = posixpath.normpath(entry.name).lstrip("/")
                names.append(path)
                folder, name = posixpath.split(path)
                if name == ".wh..wh..opq":
                    opaque.append(folder)
                elif name.startswith(".wh."):
                    deleted.append(posixpath.join(folder, name[4:]))
                else:
                    brought[path] = (entry, layer["digest"])
        # A layer deletes what those below it had, never what it brings itself.
        for path in opaque:
            self._drop(path)
        for path in deleted:
            self._drop(path)
            self.files.pop(path, None)
        for path, found in brought.items():
            if not found[0].isdir() and path in self.files and self.files[path][0].isdir():
                self._drop(path)
            self.files[path] = found
        self.layers.append(names)

    def _drop(self, folder):
        for path in [path for path in self.files if path.startswith(folder + "/")]:
            del self.files[path]

    def __contains__(self, path):
        return path.lstrip("/") in self.files

    def entry(self, path):
        """The tar header; a hard link is what it links to."""
        found, digest = self.files[path.lstrip("/")]
        while found.islnk():
            found, digest = self.files[posixpath.normpath(found.linkname).lstrip("/")]
        return found

    def read(self, path) -> bytes:
        found, digest = self.files[path.lstrip("/")]
        if found.islnk():
            return self.read(found.linkname)
        with self._open(digest) as archive:
            return archive.extractfile(archive.getmember(found.name)).read()

    def text(self, path):
        return self.read(path).decode()

    def listing(self, folder):
        folder = folder.strip("/") + "/"
        return sorted(path.removeprefix(folder) for path in self.files if path.startswith(folder))

    def attribute(self, path, name) -> bytes:
        return self.entry(path).pax_headers.get("SCHILY.xattr." + name, "").encode("utf-8", "surrogateescape")

    def mode(self, path, wanted):
        found = self.entry(path).mode & 0o7777
        assert found == wanted, f"{path} has mode {found:04o}, not {wanted:04o}"

    def owner(self, path, uid, gid):
        entry = self.entry(path)
        assert not self.owners or (entry.uid, entry.gid) == (uid, gid), \
            f"{path} belongs to {entry.uid}:{entry.gid}, not {uid}:{gid}"

    def says(self, path, text):
        found = self.text(path)
        assert found == text, f"{path} says {found!r}, not {text!r}"

    def linked(self, path, target):
        found = self.entry(path)
        assert found.issym() and found.linkname == target, f"{path} is no link to {target}: {found.linkname!r}"


def archive(members) -> bytes:
    """A gzipped tar of (name, mode, uid, gid, content); no content means a directory."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, mode, uid, gid, content in members:
            entry = tarfile.TarInfo(name)
            entry.mode, entry.uid, entry.gid = mode, uid, gid
            entry.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            entry.size = len(content or b"")
            tar.addfile(entry, io.BytesIO(content or b""))
    return packed.getvalue()
