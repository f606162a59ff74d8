"""hack/demo as an ordinary user with rootless podman: such a user is made, and removed again."""

import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from cluster import BASE, RUNTIME, TEST, TOP, podman

NAME = "slipway-e2e"
# What of the tree the demo needs; build directories and history stay behind.
PARTS = ("Containerfile", "CMakeLists.txt", "hack", "tests")


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("useradd") and shutil.which("pkill"),
                     "only root with useradd and pkill can make a user and remove it")
class OrdinaryUser(unittest.TestCase):
    def setUp(self):
        self._remove()  # what a run that was killed left behind
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", NAME], check=True)
        self.addCleanup(self._remove)
        ranges = Path("/etc/subuid").read_text()
        if f"{NAME}:" not in ranges:
            subprocess.run(["usermod", "--add-subuids", "300000-365535", "--add-subgids", "300000-365535", NAME],
                           check=True)
        self.user = pwd.getpwnam(NAME)
        self.directory = Path(tempfile.mkdtemp(prefix="slipway-user-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        (self.directory / "run").mkdir()
        os.chown(self.directory / "run", self.user.pw_uid, self.user.pw_gid)
        (self.directory / "run").chmod(0o700)
        self.directory.chmod(0o755)

    def _remove(self):
        # Rootless podman leaves a process that holds its namespace, and no user goes who has one.
        subprocess.run(["pkill", "-KILL", "-u", NAME], capture_output=True)
        for _ in range(50):
            if subprocess.run(["userdel", "--remove", NAME], capture_output=True).returncode != 8:  # 8: still in use
                break
            time.sleep(0.1)

    def _as_user(self, script, check=True):
        environment = f"export XDG_RUNTIME_DIR={self.directory}/run; cd; "
        become = ["setpriv", "--reuid", NAME, "--regid", str(self.user.pw_gid), "--init-groups", "--reset-env"]
        done = subprocess.run([*become, "bash", "-c", environment + script], capture_output=True, text=True,
                              timeout=900, cwd="/")
        if check:
            self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])
        return done

    def test_the_demo(self):
        home = Path(self.user.pw_dir) / "slipway"
        for part in PARTS:
            source = TOP / part
            if source.is_dir():
                shutil.copytree(source, home / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                home.mkdir(exist_ok=True)
                shutil.copy2(source, home / part)
        subprocess.run(["chown", "-R", f"{NAME}:{self.user.pw_gid}", str(home)], check=True)
        archive = self.directory / "images.tar"
        # Loaded instead of built once more: what is tried is running as this user, not compiling.
        podman("save", "--quiet", "--multi-image-archive", "--output", archive, BASE, RUNTIME, TEST)
        archive.chmod(0o644)
        self._as_user(f". slipway/hack/lib.sh; set -e; need_podman; podman load --quiet --input {archive} >/dev/null")
        done = self._as_user(f"BASE_IMAGE={shlex.quote(BASE)} SLIPWAY_IMAGE={shlex.quote(RUNTIME)} slipway/hack/demo")
        self.assertIn("Tides at Cuxhaven", done.stdout)
        self.assertIn("uid 4711", done.stdout)
        left = self._as_user("podman ps --all --quiet; podman volume ls --quiet").stdout
        self.assertEqual(left.strip(), "", "the demo left something behind")


if __name__ == "__main__":
    unittest.main()
