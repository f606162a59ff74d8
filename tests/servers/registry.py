"""A container registry: Docker's `docker-registry` with a configuration file of our own.

    users      {"name": "password"}: htpasswd authentication
    tls        (certificate file, key file) from tls.Authority.issue
    read_only  refuses every push with 405, as a registry under maintenance does
"""

import base64
import collections
import ctypes
import ctypes.util
import hashlib
import io
import json
import os
import ssl
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

from .process import start

MANIFEST_TYPES = ", ".join((
    "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json"))

File = collections.namedtuple("File", "content mode uid gid")


def bcrypt(password: str) -> str:
    """The only hash docker-registry accepts, by libcrypt; the cheapest cost, because this is a test."""
    library = ctypes.CDLL(ctypes.util.find_library("crypt") or "libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    alphabet = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                             "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
    # 22 characters hold 132 bits, 16 bytes are 128: the last character must have its low bits clear.
    salt = base64.b64encode(os.urandom(16)).decode()[:21].translate(alphabet) + "."
    hashed = library.crypt(password.encode(), f"$2b$04${salt}".encode())
    if not hashed or not hashed.startswith(b"$2b$"):
        raise RuntimeError("libcrypt has no bcrypt")
    return hashed.decode()


class Registry:
    """`address` is host:port for image references; get() and digest() ask it without going through a client."""

    def __init__(self, work: Path, users=None, tls=None, authority=None, read_only=False):
        self.work, self.users, self.tls = Path(work), dict(users or {}), tls
        self.authority, self.read_only = authority, read_only

    def __enter__(self):
        self.work.mkdir(parents=True, exist_ok=True)
        htpasswd = self.work / "htpasswd"
        htpasswd.write_text("".join(f"{name}:{bcrypt(password)}\n" for name, password in self.users.items()))

        def arguments(port):
            config = {
                "version": 0.1, "log": {"level": "warn", "accesslog": {"disabled": True}},
                "storage": {"filesystem": {"rootdirectory": str(self.work / "data")},
                            "delete": {"enabled": True},
                            "maintenance": {"readonly": {"enabled": self.read_only}}},
                "http": {"addr": f"127.0.0.1:{port}", "secret": "not secret: one process"},
            }
            if self.users:
                config["auth"] = {"htpasswd": {"realm": "registry", "path": str(htpasswd)}}
            if self.tls:
                config["http"]["tls"] = {"certificate": str(self.tls[0]), "key": str(self.tls[1])}
            path = self.work / "config.yml"
            # JSON is YAML.
            path.write_text(json.dumps(config, indent=1))
            return ["docker-registry", "serve", str(path)]

        self._program, self.port = start(arguments, self.work / "registry.log", self._answers)
        self.address = f"127.0.0.1:{self.port}"
        self.pid = self._program.process.pid
        return self

    def __exit__(self, *_):
        self._program.stop()

    def _answers(self, port):
        try:
            self._open(f"127.0.0.1:{port}", "/v2/").close()
            return True
        except urllib.error.HTTPError as error:
            return error.code == 401
        except OSError:
            return False

    def _open(self, address, path, headers=None, method="GET", data=None):
        context = ssl.create_default_context(cafile=str(self.authority.certificate)) if self.tls and self.authority \
            else ssl._create_unverified_context() if self.tls else None
        url = path if "://" in path else f"{'https' if self.tls else 'http'}://{address}{path}"
        request = urllib.request.Request(url, headers=dict(headers or {}), method=method, data=data)
        # Loopback: whatever proxy the environment names is not meant.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPSHandler(context=context))
        return opener.open(request, timeout=10)

    def _credentials(self):
        if not self.users:
            return {}
        name, password = next(iter(self.users.items()))
        return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}

    def get(self, path):
        """(headers, body) of GET /v2/`path`, with the first user's credentials."""
        with self._open(self.address, f"/v2/{path}", {"Accept": MANIFEST_TYPES, **self._credentials()}) as answer:
            return answer.headers, answer.read()

    def image(self, name, tag):
        """(manifest, configuration) of an image, as the registry has them."""
        manifest = json.loads(self.get(f"{name}/manifests/{tag}")[1])
        return manifest, json.loads(self.get(f"{name}/blobs/{manifest['config']['digest']}")[1])

    def files(self, name, tag):
        """What the image's layers put where: {path: File}, later layers over earlier ones (whiteouts stay as files)."""
        found = {}
        for layer in self.image(name, tag)[0]["layers"]:
            content = self.get(f"{name}/blobs/{layer['digest']}")[1]
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                for entry in archive:
                    inside = archive.extractfile(entry).read() if entry.isreg() else None
                    found[entry.name.lstrip("./")] = File(inside, entry.mode, entry.uid, entry.gid)
        return found

    def _blob(self, name, content, media_type):
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        with self._open(self.address, f"/v2/{name}/blobs/uploads/", self._credentials(), "POST", b"") as answer:
            place = answer.headers["Location"]
        headers = {"Content-Type": "application/octet-stream", **self._credentials()}
        self._open(self.address, f"{place}{'&' if '?' in place else '?'}digest={digest}", headers, "PUT", content).close()
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def put_image(self, name, tag, layer, plain, config, platform=("linux", "amd64")):
        """Uploads an image of one gzipped layer (`plain` is its tar); returns the manifest's digest."""
        kind = "application/vnd.oci.image"
        described = json.dumps({
            "architecture": platform[1], "os": platform[0], "config": config,
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()]},
            "history": [{"created_by": "made by hand"}]}).encode()
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json",
            "config": self._blob(name, described, f"{kind}.config.v1+json"),
            "layers": [self._blob(name, layer, f"{kind}.layer.v1.tar+gzip")]}).encode()
        self._open(self.address, f"/v2/{name}/manifests/{tag}",
                   {"Content-Type": f"{kind}.manifest.v1+json", **self._credentials()}, "PUT", manifest).close()
        return "sha256:" + hashlib.sha256(manifest).hexdigest()

    def put_artifact(self, name, tag, *layers, config="application/vnd.oci.empty.v1+json"):
        """Uploads an artifact as ORAS does. A layer is (content, media type, {annotation: value}); returns the manifest's
        digest."""
        kind = "application/vnd.oci.image.manifest.v1+json"
        described = [self._blob(name, content, media) | ({"annotations": annotations} if annotations else {})
                     for content, media, annotations in layers]
        manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "artifactType": "application/vnd.example.source",
                               "config": self._blob(name, b"{}", config), "layers": described}).encode()
        self._open(self.address, f"/v2/{name}/manifests/{tag}", {"Content-Type": kind, **self._credentials()}, "PUT",
                   manifest).close()
        return "sha256:" + hashlib.sha256(manifest).hexdigest()

    def put_blob(self, name, content):
        """Uploads content that no manifest names; returns its digest."""
        return self._blob(name, content, "")["digest"]

    def blob_file(self, digest):
        """Where the registry keeps a blob."""
        return self.work / "data/docker/registry/v2/blobs/sha256" / digest[7:9] / digest[7:] / "data"

    def digest(self, name, tag):
        """The manifest digest the registry has for name:tag, computed from the bytes it serves."""
        _, body = self.get(f"{name}/manifests/{tag}")
        return "sha256:" + hashlib.sha256(body).hexdigest()

    def auth_file(self, path: Path, users=None):
        """Writes an auth file (config.json form) for this registry; returns its path."""
        name, password = next(iter((users or self.users).items()))
        entry = base64.b64encode(f"{name}:{password}".encode()).decode()
        Path(path).write_text(json.dumps({"auths": {self.address: {"auth": entry}}}))
        return path
