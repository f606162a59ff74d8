"""The corpus of tests/unit/dockerfile read back: what the plans beside its Dockerfiles say, as data.

A golden file holds its options, then the whole plan or the error. The unit tests keep it equal to what the parser and
the planner say, so whoever compares with it compares with them.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "unit" / "dockerfile" / "corpus"

COMMAND = re.compile(r" +\d+ \[(\d+)/(\d+)\] (\d+)/(\d+) line \d+: (.*)")
STAGE = re.compile(r"stage (\d+) (.*) line \d+ on (stage|image|scratch)(?: (\S*?))?(?: for (\S+))?(?: \(left out\))?$")
FINAL = re.compile(r"final user=(.*?) workdir=(.*?) expose=\[(.*?)\] entrypoint=(-|\[.*?\]) cmd=(-|\[.*?\]) stop=(.*?) "
                   r"volumes=\[(.*?)\] labels=\[(.*)\]$", re.DOTALL)


def listed(text):
    return text.split(" | ") if text else []


@dataclass
class Case:
    name: str
    path: Path
    options: list
    accepted: bool
    error: str = ""
    steps: list = field(default_factory=list)  # "[k/K] STEP i/N: text", as buildah prints them
    files: set = field(default_factory=set)  # what the build context has to hold
    images: list = field(default_factory=list)  # (spelling, platform)
    secrets: set = field(default_factory=set)
    ssh: bool = False
    environment: dict = field(default_factory=dict)
    config: dict = field(default_factory=dict)

    @property
    def dockerfile(self):
        return self.path.read_text(errors="surrogateescape")


def read(path):
    """The case of one golden file."""
    text = path.read_text(errors="surrogateescape")
    first, _, rest = text.partition("\n")
    case = Case(path.stem, path.with_suffix(".dockerfile"), first.split()[1:], not rest.startswith("error "))
    if not case.accepted:
        case.error = rest
        return case
    stage, base, target = -1, "", int(re.match(r"target (\d+)", rest).group(1))
    for line in rest.splitlines():
        if command := COMMAND.match(line):
            number, total, position, count, what = command.groups()
            prefix = f"[{number}/{total}] " if total != "1" else ""
            case.steps.append(f"{prefix}STEP {position}/{count}: {base if position == '1' else what}")
        elif line == "       trigger":
            # Triggers are found after FROM is printed.
            first = next(i for i in reversed(range(len(case.steps))) if "STEP 1/" in case.steps[i])
            case.steps[first] = re.sub(r"/(\d+):", lambda found: f"/{int(found.group(1)) - 1}:", case.steps[first],
                                       count=1)
        elif found := STAGE.match(line):
            stage, base = int(found.group(1)), from_as_printed(*found.groups()[1:])
        elif found := re.match(r" +(?:sources|mounted) \[(.*)\]$", line):
            case.files.update(listed(found.group(1)))
        elif found := re.match(r" +secrets \[(.*)\]$", line):
            case.secrets.update(listed(found.group(1)))
        elif line.strip() == "ssh":
            case.ssh = True
        elif (found := re.match(r"  env \[(.*)\]$", line)) and stage == target:
            case.environment = dict(pair.split("=", 1) for pair in listed(found.group(1)))
        elif found := re.match(r"image (\S+?)(?: for (\S+))?: ", line):
            case.images.append((found.group(1), found.group(2)))
        elif found := FINAL.match(line):
            user, workdir, expose, entrypoint, command, stop, volumes, labels = found.groups()
            case.config = {
                "User": user, "WorkingDir": workdir or "/", "ExposedPorts": sorted(listed(expose)),
                "Entrypoint": words(entrypoint), "Cmd": words(command), "StopSignal": stop,
                "Volumes": sorted(listed(volumes)), "Labels": dict(pair.split("=", 1) for pair in listed(labels))}
    return case


def from_as_printed(name, kind, base, platform):
    """buildah prints FROM with its variables resolved; an earlier stage by the id of its image."""
    what = {"scratch": "scratch", "stage": "(an image id)", "image": base}[kind]
    return "FROM " + (f"--platform={platform} " if platform else "") + what + ("" if name.isdigit() else f" AS {name}")


def words(text):
    return [] if text == "-" else listed(text[1:-1])


def cases():
    return [read(path) for path in sorted(FOLDER.glob("*.plan"))]
