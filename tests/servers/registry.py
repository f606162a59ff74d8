"""A container registry: Docker's `docker-registry` with a configuration file of our own.

    users      {"name": "password"}: htpasswd authentication
    tls        (certificate file, key file) from tls.Authority.issue
    read_only  refuses every push with 405, as a registry under maintenance does
"""

import base64
import ctypes
import ctypes.util
import hashlib
import json
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path

from .process import start

MANIFEST_TYPES = ", ".join((
    "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json"))


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

    def _open(self, address, path, headers=None):
        context = ssl.create_default_context(cafile=str(self.authority.certificate)) if self.tls and self.authority \
            else ssl._create_unverified_context() if self.tls else None
        request = urllib.request.Request(f"{'https' if self.tls else 'http'}://{address}{path}",
                                         headers=dict(headers or {}))
        # Loopback: whatever proxy the environment names is not meant.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPSHandler(context=context))
        return opener.open(request, timeout=10)

    def get(self, path):
        """(headers, body) of GET /v2/`path`, with the first user's credentials."""
        headers = {"Accept": MANIFEST_TYPES}
        if self.users:
            name, password = next(iter(self.users.items()))
            headers["Authorization"] = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
        with self._open(self.address, f"/v2/{path}", headers) as answer:
            return answer.headers, answer.read()

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
