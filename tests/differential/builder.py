"""A buildah with its own storage and a base image in which every program does nothing, successfully.

RUN is thereby accepted or refused for its form alone; what is compared is the language. The base image bears every
name the corpus uses, so nothing is pulled.
"""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("bin/sh", "bin/bash", "usr/bin/env")
STEP = re.compile(r"(?:\[\d+/\d+\] )?STEP \d+/\d+: ")


@dataclass
class Outcome:
    accepted: bool
    said: str
    steps: list = field(default_factory=list)
    config: dict = field(default_factory=dict)


class Buildah:
    def __init__(self, work: Path):
        self.work = work
        storage = work / "storage.conf"
        storage.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{work}/graph"\nrunroot = "{work}/run"\n')
        # Nothing of the surroundings leaks in: no proxies, no registries.
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(work), "TMPDIR": str(work),
                            "CONTAINERS_STORAGE_CONF": str(storage)}
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", work / "key"], check=True)
        (work / "secret").write_text("secret")

    def run(self, *arguments, **more):
        return subprocess.run(["buildah", *map(str, arguments)], env=self.environment, capture_output=True,
                              text=True, errors="surrogateescape", timeout=120, **more)

    def make_base(self, names, paths):
        """One image under all `names`, holding `paths` as files."""
        context = self.work / "base"
        root = context / "root"
        true = shutil.which("true")
        libraries = re.findall(r"(?:=> )?(/\S+) \(0x", subprocess.run(["ldd", true], capture_output=True, text=True,
                                                                      check=True).stdout)
        for inside, source in [*((name, true) for name in PROGRAMS), *((name.lstrip("/"), name) for name in libraries)]:
            (root / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / inside)
        for path in paths:
            put(root, path)
        (root / "tmp").mkdir(exist_ok=True)
        (context / "Dockerfile").write_text("FROM scratch\nCOPY root /\n")
        tags = [option for name in names for option in ("--tag", name)]
        done = self.run("build", "--isolation=chroot", *tags, context)
        assert done.returncode == 0, done.stderr

    def build(self, case):
        """The case's Dockerfile in a context that holds what its plan says it copies."""
        context = self.work / "contexts" / case.name
        context.mkdir(parents=True)
        for path in case.files:
            put(context, path)
        shutil.copy(case.path, context / "Dockerfile")
        options, environment = [], dict(self.environment)
        for option in case.options:
            name, _, value = option.partition("=")
            if name.startswith("arg:"):
                options.append(f"--build-arg={name[4:]}={value}")
            elif name.startswith("env:"):
                environment[name[4:]] = value
            elif name in ("target", "platform"):
                options.append(f"--{name}={value}")
            elif name == "noskip":
                options.append("--skip-unused-stages=false")
        options.append("--format=" + ("oci" if "oci" in case.options else "docker"))
        options += [f"--secret=id={secret},src={self.work}/secret" for secret in case.secrets]
        if case.ssh:
            options.append(f"--ssh=default={self.work}/key")
        image = self.work / "contexts" / f"{case.name}.image"
        done = subprocess.run(
            ["buildah", "build", "--isolation=chroot", "--pull=never", "--layers=false", "--network=host",
             f"--iidfile={image}", *options, str(context)], env=environment, capture_output=True, text=True,
            errors="surrogateescape", timeout=120, stdin=subprocess.DEVNULL)
        steps = [line for line in done.stdout.splitlines() if STEP.match(line)]
        outcome = Outcome(done.returncode == 0, done.stderr.strip(), steps)
        if outcome.accepted:
            inspected = self.run("inspect", "--type=image", image.read_text())
            outcome.config = json.loads(inspected.stdout)["Docker"]["config"]
        return outcome


def put(root, path):
    """A file (or, for a path that ends with a slash, a folder) that the pattern `path` finds."""
    plain = re.sub(r"\[(.).*?\]", r"\1", path).replace("*", "x").replace("?", "x").replace("\\", "")
    target = Path(os.path.normpath(f"{root}/{plain}"))
    if target == root or not target.is_relative_to(root) or target.exists():
        return
    (target if plain.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
    if plain.endswith("/"):
        target = target / "file"
    target.write_text("content")
