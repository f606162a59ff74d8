"""lighttpd in front of `git http-backend`: git over HTTP as a web server of others' making serves it."""

import tempfile
from pathlib import Path

from .process import accepts, start

# A package of its own: lighttpd-mod-openssl.
HAS_TLS = Path("/usr/lib/lighttpd/mod_openssl.so").exists()
CONFIGURATION = """
server.document-root = "{root}"
server.port = {port}
server.bind = "127.0.0.1"
server.modules = ("mod_alias", "mod_setenv", "mod_cgi"{modules})
server.stream-response-body = 2
alias.url = ("/git" => "/usr/lib/git-core/git-http-backend")
setenv.set-environment = ("GIT_PROJECT_ROOT" => "{root}", "GIT_HTTP_EXPORT_ALL" => "1", "GIT_CONFIG_COUNT" => "1",
    "GIT_CONFIG_KEY_0" => "safe.directory", "GIT_CONFIG_VALUE_0" => "*")
cgi.assign = ("" => "")
"""
USERS = """
auth.backend = "plain"
auth.backend.plain.userfile = "{file}"
auth.require = ("" => ("method" => "basic", "realm" => "git", "require" => "valid-user"))
"""
TLS = """
ssl.engine = "enable"
ssl.pemfile = "{certificate}"
ssl.privkey = "{key}"
"""


class Lighttpd:
    """Repositories below `root` at `url`. `users`: {"name": "password"}, Basic; `tls`: (certificate, key) files."""

    def __init__(self, root, users=None, tls=None):
        self.root, self.users, self.tls = Path(root), users, tls

    def __enter__(self):
        self._scratch = tempfile.TemporaryDirectory(prefix="lighttpd-")
        work = Path(self._scratch.name)
        modules, more = "", ""
        if self.users:
            (work / "users").write_text("".join(f"{name}:{password}\n" for name, password in self.users.items()))
            modules += ', "mod_auth", "mod_authn_file"'
            more += USERS.format(file=work / "users")
        if self.tls:
            modules += ', "mod_openssl"'
            more += TLS.format(certificate=self.tls[0], key=self.tls[1])

        def argv(port):
            (work / "lighttpd.conf").write_text(
                CONFIGURATION.format(root=self.root, port=port, modules=modules) + more)
            return ["lighttpd", "-D", "-f", str(work / "lighttpd.conf")]

        self._program, self.port = start(argv, work / "lighttpd.log", accepts)
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if self.tls else 'http'}://{self.address}/git"
        return self

    def __exit__(self, *_):
        self._program.stop()
        self._scratch.cleanup()
