"""python3 -m servers serve: starts the servers asked for, prints one JSON line about them, serves until told to stop.

Stops on SIGTERM, SIGINT, or after --lifetime seconds, whichever is first.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path

from . import Authority, GitDaemon, GitHttp, Registry, Sshd


def pairs(values):
    return dict(value.split(":", 1) for value in values or ())


def main():
    parser = argparse.ArgumentParser(prog="python3 -m servers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve")
    serve.add_argument("--work", type=Path, required=True, help="directory for logs, keys and the registry's data")
    serve.add_argument("--git-root", type=Path, help="serve the repositories beneath over HTTP")
    serve.add_argument("--git-user", action="append", metavar="NAME:PASSWORD", help="require Basic authentication")
    serve.add_argument("--git-token", action="append", metavar="TOKEN", help="require this token")
    serve.add_argument("--git-daemon", action="store_true", help="serve --git-root over git:// too")
    serve.add_argument("--ssh", action="store_true", help="serve git over SSH too (needs root)")
    serve.add_argument("--registry", action="store_true", help="serve a container registry")
    serve.add_argument("--registry-user", action="append", metavar="NAME:PASSWORD", help="require authentication")
    serve.add_argument("--registry-read-only", action="store_true", help="refuse every push")
    serve.add_argument("--tls", action="store_true", help="TLS by a private authority, for git over HTTP and registry")
    serve.add_argument("--lifetime", type=float, default=1800,
                       help="seconds after which everything stops (%(default)s)")
    serve.add_argument("--ready", type=Path, help="write the JSON line to this file too, when all is up")
    options = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    options.work.mkdir(parents=True, exist_ok=True)
    facts = {}
    with contextlib.ExitStack() as running:
        authority = tls = None
        if options.tls:
            authority = Authority(options.work / "tls")
            tls = authority.issue()
            facts["ca"] = str(authority.certificate)
        if options.git_root:
            git = running.enter_context(GitHttp(options.git_root, pairs(options.git_user), options.git_token, tls))
            facts["git"] = git.url
        if options.git_daemon:
            facts["git_daemon"] = running.enter_context(GitDaemon(options.git_root, options.work)).url
        if options.ssh:
            sshd = running.enter_context(Sshd(options.work / "sshd"))
            facts["ssh"], facts["ssh_dir"] = sshd.url, str(sshd.ssh_dir)
        if options.registry:
            registry = running.enter_context(
                Registry(options.work / "registry", pairs(options.registry_user), tls, authority,
                         options.registry_read_only))
            facts["registry"] = registry.address
        line = json.dumps(facts)
        print(line, flush=True)
        if options.ready:
            # Renamed into place, so a reader never sees half of it.
            partial = options.ready.with_suffix(".partial")
            partial.write_text(line)
            os.replace(partial, options.ready)
        stop.wait(options.lifetime)
    return 0


if __name__ == "__main__":
    sys.exit(main())
