"""Real servers for tests and the demo: git over HTTP, git daemon, sshd, files and a container registry, on loopback.

Each server is a context manager that has a free port once it is entered, dies with the process that
started it, and is stopped by its own process id. Nothing here is a fake: git http-backend, git daemon,
OpenSSH's sshd and docker-registry do the talking.

Standard library only. Runs where those programs are installed (the Containerfile's test stage):

    with servers.Registry(work, users={"ada": "secret"}) as registry:
        print(registry.address)

or as a program: python3 -m servers serve --help
"""

from .broken_git import BrokenGit, Fault
from .files import Files
from .giftless import Giftless
from .git_daemon import GitDaemon
from .git_http import GitHttp
from .lfs import Lfs
from .lighttpd import Lighttpd
from .process import ServerError
from .registry import Registry
from .relay import Relay
from .ssh import Sshd
from .tls import Authority
from .wire import ConnectProxy, CutLine

__all__ = [
    "Authority",
    "BrokenGit",
    "ConnectProxy",
    "CutLine",
    "Fault",
    "Files",
    "Giftless",
    "GitDaemon",
    "GitHttp",
    "Lfs",
    "Lighttpd",
    "Registry",
    "Relay",
    "ServerError",
    "Sshd",
]
