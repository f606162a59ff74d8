"""Builds the corpus with the shipped image under every pod setting, seccomp profile, storage and isolation.

    run.py [--pairwise | --full] [--cell REGEX] [--case NAME] [--jobs N] [--write] [--journal FILE]

A cell is POD/PROFILE/STORAGE/ISOLATION. Each runs `slipway doctor --json`, then `slipway build` of some Dockerfiles of
the corpus, whose images are examined; what comes out is compared with expected.json. --pairwise (default) takes as few
cells as have every pair of settings and spreads the corpus over them; --full takes all cells, and the whole corpus in
every pod setting that builds. Isolation decides itself at the first RUN, so OCI cells build two Dockerfiles that stand
for all. --cell (a regular expression) and --case (a text) narrow to names in which they are found.

--write puts what was found into expected.json and the table of docs/pods.md. Only refusals and right images are written:
a build that failed is no verdict, and neither is one that no longer builds; remove its line first if it shall be so.
--journal FILE keeps each cell's result as it comes, and does not run again what stands in it: an interrupted run goes on.

How long: a container each (1 s), 4 s a Dockerfile, on each of two cores: pairwise 4 min; --full, which says its own
estimate first, some 25 min.

Needs podman, the runtime and test images, and Go with its module proxy for two of the profiles: without those the
cells are skipped, counted and named. Prints `N passed, N failed, N skipped` last.
"""

import argparse
import concurrent.futures
import contextlib
import datetime
import hashlib
import itertools
import json
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / "matrix"), str(TOP / "tests" / "e2e")]

import corpus  # noqa: E402
import pods  # noqa: E402
import rows  # noqa: E402
import table  # noqa: E402
from cluster import BASE, RESTRICTED, RUNTIME, TEST, Cluster, podman, run  # noqa: E402

BASES = {"busybox": "1.37", "tools": "1", "toolbox": "1", "onbuild": "1", "layered": "1"}
# An isolation that does not work fails at the first RUN, whatever is in it: mounts, and users and owners.
OCI_CASES = ["mounts", "useradd-user"]
CELL_SECONDS = 1500
BUILD_SECONDS = 300
# Some nodes have cgroups of both versions, which crun refuses; where there is one version a cell may do better.
OF_THE_NODE = "podforbids:cgroup"
LIFETIME = 6 * 3600  # of what is started here, should nobody stop it
CELL_COSTS, CASE_COSTS = 1.0, 4.0  # seconds of one core, for the estimate

# $1 the cell, $2 the storage, $3 and on: cases. A recorded start of buildah tells a refusal from a failure.
SCRIPT = r"""
cell=/cells/$1 storage=$2
shift 2
mkdir "$cell" && slipway doctor --json --work /slipway/work >"$cell/doctor.json"
for case; do
    here=$cell/$case
    mkdir "$here" && cp -r "/cells/plans/$case" "$here/state" || exit 1
    printf '#!/bin/sh\n: >"%s/started"\nexec buildah "$@"\n' "$here" >"$here/buildah" && chmod 755 "$here/buildah"
    set -- --output=frames --state="$here/state" --work=/slipway/work --buildah="$here/buildah" --storage="$storage" \
        --tls-verify=false $OPTIONS
    if [ "$case" = secret-mount ]; then set -- "$@" --secret=id=token,src=/cells/secret; fi
    slipway build --timeout="$SECONDS_EACH" "$@" >"$here/frames" 2>"$here/stderr"
    echo $? >"$here/exit"
done
"""


class Cell(tuple):
    """(pod, profile, storage, isolation), by name."""

    pod, profile, storage, isolation = (property(lambda self, at=at: self[at]) for at in range(4))

    def __str__(self):
        return "/".join(self)


def every_cell():
    cells = map(Cell, itertools.product(pods.PODS, pods.PROFILES, pods.STORAGES, pods.ISOLATIONS))
    return [cell for cell in cells if cell.profile != "slipway" or cell.pod == "C"]


def pairwise(cells):
    """As few of `cells` as have every pair of settings that any of them has; the same ones every time."""
    def pairs(cell):
        return set(itertools.combinations(enumerate(cell), 2))

    # Between cells that add as much, which comes first should not always be the first storage.
    order = sorted(cells, key=lambda cell: hashlib.sha256(str(cell).encode()).digest())
    wanted = set().union(*map(pairs, order)) if order else set()
    chosen = []
    while wanted:
        best = max(order, key=lambda cell: len(pairs(cell) & wanted))
        chosen.append(best)
        wanted -= pairs(best)
    return chosen


class Journal:
    """Cells that came out well, a line of JSON each as they come, so that an interrupted run can go on."""

    def __init__(self, path):
        self.path, self.known = path, {}
        if path is not None and path.exists():
            self.known = {entry["cell"]: entry for entry in map(json.loads, path.read_text().splitlines())}

    def add(self, cell, result, right):
        if self.path is not None:
            with self.path.open("a") as lines:
                lines.write(json.dumps({"cell": str(cell), "result": result, "right": right}) + "\n")


class Matrix:
    """Servers, one volume for all cells, one container that examines."""

    def __init__(self, folder):
        self.folder = Path(folder)
        # What lies in it is mounted for root of other user namespaces too.
        self.folder.chmod(0o755)
        self.profiles = pods.Profiles(folder)
        self.fuse = pods.fuse_options(folder)
        self.has_isolation = b"--isolation" in run(RUNTIME, "build", "--help", options=["--network", "none"]).stdout

    def __enter__(self):
        with contextlib.ExitStack() as undo:
            self._start(undo)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_):
        self._undo.close()

    def _start(self, undo):
        self.cluster = undo.enter_context(Cluster("--lifetime", str(LIFETIME)))
        name = self.cluster.name
        self.cells, self.examiner = f"{name}-cells", f"{name}-examiner"
        podman("volume", "create", self.cells)
        undo.callback(podman, "volume", "rm", "--force", self.cells, check=False)
        run(TEST, "python3", "-B", "/src/tests/matrix/inside.py", "prepare", "/cells", options=self._volumes())
        podman("run", "--detach", "--rm", "--security-opt", "label=disable", *self._run_options(), "--name", self.examiner,
               *self._volumes(), TEST, "sleep", str(LIFETIME))
        undo.callback(podman, "rm", "--force", "--time", "0", self.examiner, check=False)
        self._bases()
        self._resolve()

    @staticmethod
    def _run_options():
        from cluster import RUN_OPTIONS
        return RUN_OPTIONS

    def _volumes(self):
        return ["--network", "none", "--volume", f"{TOP}:/src:ro", "--volume", f"{self.cells}:/cells"]

    def _bases(self):
        self.overrides = [f"--base-image-override=debian:trixie-slim={self.cluster.base}"]
        recipe = TOP / "tests" / "matrix" / "Containerfile"
        made_from = podman("image", "inspect", "--format", "{{.Id}}", BASE).stdout + recipe.read_bytes()
        for name, tag in BASES.items():
            image = f"localhost/slipway-matrix-{name}:{hashlib.sha256(made_from).hexdigest()[:16]}"
            if podman("image", "exists", image, check=False).returncode != 0:
                with tempfile.TemporaryDirectory() as empty:
                    podman("build", "--quiet", "--network", "host", "--isolation", "chroot", "--format", "docker",
                           "--build-arg", f"BASE_IMAGE={BASE}", "--target", name, "--tag", image, "--file", recipe, empty,
                           seconds=900)
            pushed = f"{self.cluster.registry}/base/{name}:{tag}"
            podman("push", "--quiet", "--tls-verify=false", image, f"docker://{pushed}")
            self.overrides.append(f"--base-image-override={name}:{tag}={pushed}")

    def _resolve(self):
        lines = []
        for case in corpus.names():
            words = ["slipway", "resolve", "--output=frames", f"--state=/cells/plans/{case}",
                     f"--source=/cells/sources/{case}", "--tls-verify=false", *self.overrides, *corpus.RESOLVE.get(case, [])]
            quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
            lines.append(f"mkdir /cells/plans/{case}; {quoted} || {{ echo case {case}; exit 1; }}")
        # As any user namespace's root must be able to read them.
        lines.append("chmod -R a+rX /cells/plans/*")
        done = run(RUNTIME, "-c", "\n".join(lines), check=False,
                   options=[*RESTRICTED, "--entrypoint", "sh", "--network", "host", "--volume", f"{self.cells}:/cells"])
        if done.returncode != 0:
            raise AssertionError("resolving the corpus failed:\n" + done.stdout.decode(errors="replace")[-3000:])

    def skipped(self, cell):
        """Why a cell cannot be set up on this machine; empty if it can."""
        if pods.PODS[cell.pod].more == pods.OWN_NAMESPACE and os.getuid() != 0:
            return "rootless podman has no ids to spare for a pod's own user namespace"
        if cell.isolation != "chroot" and not self.has_isolation:
            return "this slipway has no --isolation"
        if self.profiles.generated(cell.profile) and self.profiles.missing:
            return self.profiles.missing
        if cell.storage == "fuse-overlayfs" and self.fuse is None:
            return "no /dev/fuse on this machine"
        return ""

    def build(self, name, pod, seccomp, storage, cases, isolation="chroot", more=rows.VOLUME, inside=()):
        """One container: doctor, then the cases. Returns what inside.py found."""
        options = f"--isolation={isolation}" if isolation != "chroot" else ""
        container = [*pod.options, *seccomp, "--network", "host", "--entrypoint", "env", "--volume", f"{self.cells}:/cells",
                     "--env", f"OPTIONS={options}", "--env", f"SECONDS_EACH={BUILD_SECONDS}",
                     *more]
        done = run(RUNTIME, *pod.inside, *inside, "sh", "-c", SCRIPT, "sh", name, storage, *cases, options=container, check=False,
                   seconds=CELL_SECONDS)
        examined = podman("exec", self.examiner, "python3", "-B", "/src/tests/matrix/inside.py", "check", "/cells", name,
                          check=False, seconds=CELL_SECONDS)
        if examined.returncode != 0:
            raise AssertionError(f"{name}: the container did not start or left nothing: "
                                 f"{done.stderr.decode(errors='replace')[-1000:]}{examined.stderr.decode()[-100:]}")
        report = json.loads(examined.stdout)
        if not report["builds"]:
            raise AssertionError(f"{name}: the script ended early: {done.stderr.decode(errors='replace')[-1000:]}")
        return report

    def run_cell(self, cell, cases):
        pod = pods.PODS[cell.pod]
        fuse = self.fuse if cell.storage == "fuse-overlayfs" else []
        return self.build(str(cell).replace("/", "+"), pod, self.profiles.options(cell.profile, pod.capabilities),
                          cell.storage, cases, cell.isolation, [*rows.VOLUME, *fuse])

    def run_row(self, number, row):
        profile = self.profiles.without(*row.blocked, errno=row.errno) if row.blocked \
            else self.profiles.options(row.profile, row.pod.capabilities)
        return self.build(f"row{number}", row.pod, profile, row.storage, [row.case], row.isolation,
                          more=[*row.work, *row.more], inside=row.inside)


def identify(doctor, error):
    """The stable id of the prerequisite a refusal names, out of doctor's own report."""
    for entry in [*doctor.get("missing", []), *doctor.get("limits", [])]:
        if entry["sentence"] in error["message"]:
            return entry["id"]
    return "unnamed"


def outcome(report):
    """'builds', or the code with what is missing; everything that is wrong whatever was expected; the cases that came out
    right."""
    doctor, outcomes, wrong, right = report["doctor"], set(), [], []
    for case, build in report["builds"].items():
        if build["exit"] == 0:
            outcomes.add("builds")
            if "wrong" in build:
                wrong.append(f"{case}: {build['wrong']}")
            else:
                right.append(case)
            continue
        error = build.get("error", {"code": "no error frame", "message": build["stderr"]})
        code = error["code"]
        if code == "podforbids":
            code += ":" + identify(doctor, error)
            if code.endswith(":unnamed"):
                wrong.append(f"{case}: doctor does not name what was refused: {error['message']}")
            if build["started"] or build["pulling"]:
                wrong.append(f"{case}: refused only after buildah was started")
        else:
            wrong.append(f"{case}: {code}: {error['message']} | {error.get('cause', '')} | {build.get('log', '')[-300:]}")
        outcomes.add(code)
    if "unreadable" in doctor:
        wrong.append(f"doctor: {doctor['unreadable']}")
    return " and ".join(sorted(outcomes)), wrong, right


def spread(cells, expected, everything):
    """Which cases each cell builds: cells that refuse get one, OCI cells their two, the others share the corpus."""
    names = corpus.names()
    chroot = [cell for cell in cells if cell.isolation == "chroot"]
    building = [cell for cell in chroot if expected.get(str(cell), "builds") == "builds"]
    given = {cell: [names[0]] for cell in chroot} | {cell: OCI_CASES for cell in cells if cell.isolation == "oci"}
    seen = set()
    each = -(-len(names) // max(1, len(building)))
    around = itertools.cycle(names)
    for cell in building:
        whole = everything and cell.storage == "overlay" and cell.pod not in seen
        if whole:
            seen.add(cell.pod)
        given[cell] = names if whole else [next(around) for _ in range(max(1, each))]
    return given


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairwise", action="store_true", help="default")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--cell", default="")
    parser.add_argument("--rows", nargs="?", const="", metavar="REGEX",
                        help="only the rows of missing prerequisites, or those whose text it finds")
    parser.add_argument("--case", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--times", action="store_true", help="say how long each build took")
    options = parser.parse_args()
    known = table.read()
    expected = known["cells"]
    cells = [] if options.rows is not None else [cell for cell in every_cell() if re.search(options.cell, str(cell))]
    failed, skipped, found, built, passed = [], {}, {}, {}, 0
    started = time.monotonic()
    # So that what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="slipway-matrix-", dir="/var/tmp") as folder, Matrix(folder) as matrix:
        print(f"set up in {time.monotonic() - started:.0f} s", flush=True)
        for cell in cells:
            if why := matrix.skipped(cell):
                skipped.setdefault(why, []).append(cell)
        cells = [cell for cell in cells if not matrix.skipped(cell)]
        if not (options.full or options.write or options.cell):
            unknown = [cell for cell in cells if str(cell) not in expected]
            if unknown:
                skipped["not in expected.json yet, which --full --write makes"] = unknown
                cells = [cell for cell in cells if str(cell) in expected]
        if not options.full and not options.cell:
            cells = pairwise(cells)
        given = spread(cells, expected, options.full)
        if options.case:
            given = {cell: [name for name in corpus.names() if options.case in name] for cell in cells}

        journal = Journal(options.journal)
        for cell in [cell for cell in cells if str(cell) in journal.known]:
            found[str(cell)] = journal.known[str(cell)]["result"]
            built.setdefault(cell.pod, set()).update(journal.known[str(cell)]["right"])
        cells = [cell for cell in cells if str(cell) not in journal.known]
        cells.sort(key=lambda cell: len(given[cell]))  # an interrupted run has told most of them
        listed = [] if options.cell or options.case else \
            [(number, row) for number, row in enumerate(rows.ROWS) if re.search(options.rows or "", row.text)]
        seconds = (CELL_COSTS + CASE_COSTS) * len(listed) + sum(CELL_COSTS + CASE_COSTS * len(given[cell]) for cell in cells)
        print(f"{len(listed)} rows, {len(cells)} cells, {sum(len(given[cell]) for cell in cells)} builds: about "
              f"{seconds / 60 / min(options.jobs, os.cpu_count()):.0f} min, if nobody else is working here", flush=True)
        for row in [row for _, row in listed if matrix.profiles.generated(row.profile) and matrix.profiles.missing]:
            skipped.setdefault(matrix.profiles.missing, []).append(f"row '{row.text}'")
        listed = [(number, row) for number, row in listed
                  if not (matrix.profiles.generated(row.profile) and matrix.profiles.missing)]

        def work_row(number, row):
            try:
                return row, rows.judge(row, matrix.run_row(number, row))
            except AssertionError as why:
                return row, [str(why)]

        def work(cell):
            began = time.monotonic()
            try:
                report = matrix.run_cell(cell, given[cell])
                result, wrong, right = outcome(report)
                if options.times:
                    print("".join(f"  {build['seconds']:6.1f} s  {cell}  {case}\n" for case, build in report["builds"].items()),
                          end="")
            except AssertionError as why:
                result, wrong, right = "", [str(why)], []
            return cell, result, wrong, right, time.monotonic() - began

        with contextlib.ExitStack() as ending:
            pool = concurrent.futures.ThreadPoolExecutor(options.jobs)
            ending.callback(pool.shutdown, cancel_futures=True)  # who interrupts waits for what runs, not for what would
            for done in concurrent.futures.as_completed([pool.submit(work_row, *row) for row in listed]):
                row, wrong = done.result()
                print(f"{'FAIL' if wrong else 'ok  '} {row.id}: {row.text}" + "".join(f"\n     {line}" for line in wrong),
                      flush=True)
                if wrong:
                    failed.append(row.text)
                else:
                    passed += 1
            for done in concurrent.futures.as_completed([pool.submit(work, cell) for cell in cells]):
                cell, result, wrong, right, seconds = done.result()
                known_as = expected.get(str(cell))
                if result != known_as and (known_as == "builds" or not options.write) and \
                        (result, known_as) != ("builds", OF_THE_NODE):
                    wrong.append(f"expected.json says {known_as}")
                if result and not wrong:
                    found[str(cell)] = result
                    journal.add(cell, result, right)
                built.setdefault(cell.pod, set()).update(right)
                print(f"{'FAIL' if wrong else 'ok  '} {cell}  {result}  ({len(given[cell])} built, {seconds:.1f} s)", flush=True)
                for line in wrong:
                    print("     " + line.replace("\n", "\n       "), flush=True)
                if wrong:
                    failed.append(cell)
                else:
                    passed += 1
    if options.write:
        table.write(known, found, built, datetime.datetime.now(datetime.UTC).date().isoformat())
    elif not table.agrees():
        print("FAIL docs/pods.md does not hold the table of expected.json")
        failed.append("docs/pods.md")
    for why, which in skipped.items():
        print(f"skipped {len(which)} cells, {why}: {', '.join(map(str, which[:3]))}{', …' if len(which) > 3 else ''}")
    print(f"{passed} passed, {len(failed)} failed, {sum(map(len, skipped.values()))} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
