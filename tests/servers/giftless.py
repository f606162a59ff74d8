"""giftless (https://github.com/datopian/giftless), an LFS server of others' making, if it is there: hack/giftless
puts it into a directory, which SLIPWAY_GIFTLESS names; else Python itself may have it.

It keeps objects on the disk and signs the links it gives out. Who has no token that is signed with its secret may
neither read nor write; token() makes one, a Basic password for the user `_jwt`. (Of anonymous users it gives out links
that PyJWT 2.10 and later refuse, because they name no subject.)
"""

import base64
import hashlib
import hmac
import importlib.util
import json
import os
import secrets
import sys
import time
from pathlib import Path

from .process import accepts, start

PACKAGES = os.environ.get("SLIPWAY_GIFTLESS", "")
AVAILABLE = (Path(PACKAGES) / "giftless").is_dir() if PACKAGES else importlib.util.find_spec("giftless") is not None


class Giftless:
    def __init__(self, work: Path):
        self.work, self.secret = Path(work), secrets.token_hex(32)

    def __enter__(self):
        self.work.mkdir(parents=True, exist_ok=True)
        configuration = self.work / "giftless.json"  # which is YAML too
        configuration.write_text(json.dumps({
            "LEGACY_ENDPOINTS": False,
            "AUTH_PROVIDERS": [{"factory": "giftless.auth.jwt:factory",
                                "options": {"algorithm": "HS256", "private_key": self.secret}}],
            "TRANSFER_ADAPTERS": {"basic": {
                "factory": "giftless.transfer.basic_streaming:factory",
                "options": {"storage_class": "giftless.storage.local_storage:LocalStorage",
                            "storage_options": {"path": str(self.work / "objects")}, "action_lifetime": 900}}}}))
        self._program, self.port = start(
            lambda port: [sys.executable, "-m", "flask", "--app", "giftless.wsgi_entrypoint", "run", f"--port={port}"],
            self.work / "giftless.log", accepts,
            env={"GIFTLESS_CONFIG_FILE": str(configuration), **({"PYTHONPATH": PACKAGES} if PACKAGES else {})})
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        self._program.stop()

    def token(self, scope):
        """For `scope`, e.g. `obj:team/project/*:read`."""
        def part(content):
            return base64.urlsafe_b64encode(content).rstrip(b"=")

        signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(
            json.dumps({"sub": "test", "scopes": [scope], "exp": int(time.time()) + 600}).encode())
        return (signed + b"." + part(hmac.digest(self.secret.encode(), signed, hashlib.sha256))).decode()
