"""Builds that fail in a container with limits: out of memory, out of the wreckage of an earlier attempt, once more elsewhere."""

import json
import shlex
import subprocess
import threading
import time
import unittest

from cluster import RECIPE_A, RECIPE_B, RUN_OPTIONS, RUNTIME, Cluster, check_frames, podman

PLAIN = "--tls-verify=false"
MIB = 1 << 20
# Root without the right to pass over the permissions of files: RUNs give some to other users.
BARE_A = ["--user", "0:0", "--cap-drop", "ALL", "--cap-add", "SETUID,SETGID,SETFCAP,SYS_CHROOT"]


def dockerfile(*lines):
    return {"Dockerfile": "\n".join(["ARG BASE", "FROM ${BASE}", *lines]) + "\n"}


class Failing(unittest.TestCase):
    maxDiff = None

    def build(self, cluster, *options, security=RECIPE_A, mounts=()):
        done = cluster.step("run", f"--url={cluster.url}", f"--build-arg=BASE={cluster.base}", PLAIN, "--skip",
                            f"--runner-image={RUNTIME}", *options, security=security, mounts=mounts)
        self.assertEqual(check_frames(done), 0, done.story())
        return done

    def error(self, done, klass, code):
        errors = done.of("error")
        self.assertEqual([(error["class"], error["code"]) for error in errors], [(klass, code)], done.story())
        return errors[0]

    def line(self, done):
        pieces = done.of("reproduce")
        self.assertTrue(pieces, done.story())
        self.assertEqual([piece.get("more", False) for piece in pieces], [True] * (len(pieces) - 1) + [False])
        return "".join(piece["command"] for piece in pieces)


class Memory(Failing):
    LIMIT = ["--memory", "256m", "--memory-swap", "256m"]

    def test_a_command_that_takes_all_memory(self):
        with Cluster(repository=dockerfile("RUN echo begin; tail /dev/zero")) as cluster:
            done = self.build(cluster, security=[*RECIPE_A, *self.LIMIT])
            error = self.error(done, "resource", "outofmemory")
            self.assertEqual(error["where"]["line"], 3)
            self.assertIn("begin", error["output"])
            self.assertGreater(error["peak_memory"], 128 * MIB)
            self.assertLessEqual(error["peak_memory"], 256 * MIB)
            self.assertIn("--memory=268435456 ", self.line(done))
            self.assertIn("memorykill", [warning["code"] for warning in done.of("warning")])

    def test_a_command_that_fails_for_a_process_of_its_own(self):
        with Cluster(repository=dockerfile("RUN tail /dev/zero || exit 7")) as cluster:
            error = self.error(self.build(cluster, security=[*RECIPE_A, *self.LIMIT]), "resource", "outofmemory")
            self.assertEqual(error["child_exit"], 7)

    def test_one_that_survives_is_only_warned_of(self):
        with Cluster(repository=dockerfile("RUN tail /dev/zero || true", "RUN exit 3")) as cluster:
            done = self.build(cluster, security=[*RECIPE_A, *self.LIMIT])
            self.error(done, "build", "builderror")
            self.assertIn("memorykill", [warning["code"] for warning in done.of("warning")])

    def test_files_read_and_written_beyond_the_limit_are_no_lack_of_memory(self):
        with Cluster(repository=dockerfile("RUN head -c 600m /dev/zero >/big && cat /big /big >/dev/null && rm /big")
                     ) as cluster:
            done = self.build(cluster, security=[*RECIPE_A, *self.LIMIT])
            self.assertEqual(done.exit, 0, done.story())

    def test_the_build_ends_before_the_kernel_kills_the_whole_container(self):
        """A cgroup of version 2 as a kubelet sets it up, made of files: they change while the RUN sleeps."""
        with Cluster(repository=dockerfile("RUN echo begin; sleep 120")) as cluster:
            group = cluster.files / "cgroup"
            group.mkdir()

            def say(name, text):
                (group / name).write_text(text)

            def take(anonymous, cache):
                say("memory.current", f"{anonymous + cache}\n")
                say("memory.stat", f"anon {anonymous}\nfile {cache}\nshmem 0\ninactive_file 0\nactive_file {cache}\n")

            say("memory.max", f"{512 * MIB}\n")
            say("memory.oom.group", "1\n")
            say("memory.events", "oom_kill 0\n")
            take(100 * MIB, 410 * MIB)  # nearly all of it page cache: nothing to worry about
            ended = threading.Event()

            def run_out():
                if not ended.wait(20):
                    take(500 * MIB, 0)

            changing = threading.Thread(target=run_out)
            changing.start()
            before = time.monotonic()
            done = self.build(cluster, mounts=[(group, "/sys/fs/cgroup")])
            took = time.monotonic() - before
            ended.set()
            changing.join()
            error = self.error(done, "resource", "outofmemory")
            self.assertIn("begin", done.log, done.story())
            self.assertGreater(took, 19, "page cache was taken for use")
            self.assertLess(took, 100, "the RUN was waited for")
            self.assertIn("whole container", error["message"])
            self.assertIn("MiB)", error["cause"])
            self.assertEqual(error["where"]["line"], 3)
            self.assertEqual(error["peak_memory"], 500 * MIB)


class Leftovers(Failing):
    OWNED = ("RUN mkdir -p /a/b && echo x >/a/b/c && chown -R 1234:1234 /a && chmod -R 700 /a", "RUN echo begin; sleep 60")

    def kill_a_build(self, cluster, security):
        """As a node does that goes down: nothing is cleaned up."""
        name = f"{cluster.name}-killed"
        container = subprocess.Popen(
            ["podman", "run", "--rm", "--name", name, "--security-opt", "label=disable", *RUN_OPTIONS, *security,
             "--network", "host", "--volume", f"{cluster.state}:/slipway/state", "--volume",
             f"{cluster.work}:/slipway/work", RUNTIME, "run", "--output=frames", f"--url={cluster.url}", "--skip",
             f"--build-arg=BASE={cluster.base}", PLAIN], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            for line in container.stdout:
                if b'"text":"begin"' in line:
                    break
        finally:
            podman("kill", "--signal", "KILL", name, check=False)
            container.stdout.close()
            container.wait(30)

    def directories(self, cluster):
        mounted = podman("volume", "inspect", "--format", "{{.Mountpoint}}", cluster.work).stdout.decode().strip()
        found = podman("unshare", "ls", mounted, check=False) if podman_is_rootless() else subprocess.run(
            ["ls", mounted], capture_output=True, check=True)
        return found.stdout.decode().split()

    def next_attempt_cleans_up(self, security):
        with Cluster(repository=dockerfile(*self.OWNED)) as cluster:
            self.kill_a_build(cluster, security)
            left = self.directories(cluster)
            self.assertEqual(len(left), 1, left)
            done = cluster.step("build", PLAIN, "--timeout=20s", security=security)
            self.assertEqual(done.of("hello")[0]["recipe"]["isolation"], "chroot", done.story())
            warnings = {warning["code"]: warning["message"] for warning in done.of("warning")}
            self.assertIn("removed", warnings.get("leftovers", ""), done.story())
            self.assertEqual(self.directories(cluster), [], "something stayed")

    def test_of_root_without_rights_over_files(self):
        self.next_attempt_cleans_up(BARE_A)

    def test_of_mapped_ids(self):
        self.next_attempt_cleans_up(RECIPE_B)

    def test_two_attempts_at_once_on_one_volume(self):
        with Cluster(repository=dockerfile("RUN sleep 5; echo fine >/fine")) as cluster:
            cluster.step("fetch", f"--url={cluster.url}")
            cluster.step("resolve", f"--build-arg=BASE={cluster.base}", PLAIN)
            done = [None, None]

            def build(at):
                done[at] = cluster.step("build", PLAIN, security=RECIPE_A, environment={"SLIPWAY_STATE": f"/slipway/state/{at}"})

            for at in (0, 1):
                podman("run", "--rm", *RUN_OPTIONS, "--network", "none", "--user", "0", "--entrypoint", "sh", "--volume",
                       f"{cluster.state}:/slipway/state", RUNTIME, "-c",
                       f"mkdir -m 777 /slipway/state/{at} && cp /slipway/state/*.json /slipway/state/{at}")
            threads = [threading.Thread(target=build, args=(at,)) for at in (0, 1)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for one in done:
                self.assertEqual(one.exit, 0, one.story())
            self.assertEqual(self.directories(cluster), [])


def podman_is_rootless():
    return podman("info", "--format", "{{.Host.Security.Rootless}}").stdout.strip() == b"true"


class Again(Failing):
    ARGUMENT = "it's \"quoted\" $HOME `x` \\ and   spaced"

    def test_the_line_repeats_the_failure(self):
        lines = ("ARG WORD", "RUN --mount=type=secret,id=token cat /run/secrets/token >/dev/null && echo \"$WORD\" && exit 7")
        with Cluster(repository=dockerfile(*lines)) as cluster:
            token = cluster.files / "secret-token"
            token.write_text("hush-hush-4711")
            token.chmod(0o644)
            done = self.build(cluster, f"--build-arg=WORD={self.ARGUMENT}", "--secret=id=token,src=/token",
                              "--label=a=b c", mounts=[(token, "/token")])
            error = self.error(done, "build", "builderror")
            line = self.line(done)
            self.assertNotIn("hush-hush", line)
            self.assertTrue(line.startswith("podman run "), line)
            # The machine's own options, its servers' network; the secret lies where the line says.
            words = shlex.split(line)
            again = ["podman", "run", *RUN_OPTIONS, "--network=host", *words[2:], "--output=frames"]
            repeated = subprocess.run(again, cwd=cluster.files, capture_output=True, timeout=240)
            frames = [json.loads(one) for one in repeated.stdout.splitlines() if one.startswith(b'{"slipway":')]
            errors = [frame["error"] for frame in frames if frame["kind"] == "error"]
            self.assertEqual(len(errors), 1, repeated.stdout[-2000:] + repeated.stderr[-2000:])
            for member in ("code", "class", "message", "where", "child_exit", "output"):
                self.assertEqual(errors[0][member], error[member])
            self.assertEqual(error["output"], [self.ARGUMENT])

            def digests(of):
                return [frame["phase"]["digest"] for frame in of
                        if frame["kind"] == "phase" and frame["phase"]["name"] == "pulling"]

            self.assertEqual(digests(frames), digests(done.frames))

    def test_people_see_it(self):
        with Cluster(repository=dockerfile("RUN exit 7")) as cluster:
            done = self.build(cluster)
            shown = podman("run", "--rm", "--interactive", "--network", "none", *RUN_OPTIONS, RUNTIME, "frames", "render", "-",
                           stdin=done.out, check=False)
            self.assertIn(self.line(done), shown.stdout.decode().splitlines())
