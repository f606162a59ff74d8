"""git's own protocol (git://): `git daemon` over every repository under a root, read only."""

from pathlib import Path

from .process import accepts, start


class GitDaemon:
    def __init__(self, root: Path, work: Path):
        self.root, self.work = Path(root), Path(work)

    def __enter__(self):
        self._program, self.port = start(
            lambda port: ["git", "daemon", "--export-all", f"--base-path={self.root}", "--listen=127.0.0.1",
                          f"--port={port}", "--reuseaddr", "--timeout=60", str(self.root)],
            self.work / "git-daemon.log", accepts,
            env={"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"})
        self.url = f"git://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        self._program.stop()
