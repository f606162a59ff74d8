"""From a git URL to a pushed image that runs, under each pod setting the first release promises."""

import json
import re
import tarfile
import tempfile
import unittest
from pathlib import Path

from cluster import BASE, RECIPE_A, RECIPE_B, RESTRICTED, RUNTIME, Cluster, check_frames, podman, run, without_ambient

DOCKERFILE = """\
ARG BASE
FROM ${BASE} AS make
ARG GREETING=unset
WORKDIR /make
COPY words .
RUN { cat words; echo "${GREETING}"; } >letter && echo made the letter
RUN useradd --uid 4711 writer && chown 4711:100 letter

FROM ${BASE} AS unused
RUN exit 99

FROM ${BASE}
COPY --from=make /make/letter /letter
RUN useradd --uid 1234 reader && stat -c %u:%g /letter >/owner
LABEL purpose=test
USER reader
CMD ["sh", "-c", "cat /letter /owner; id -un"]
"""
FILES = {"Dockerfile": DOCKERFILE, "words": "words from the repository\n"}
PLAIN = ("--tls-verify=false",)


class WholeWay(unittest.TestCase):
    maxDiff = None

    def assert_step(self, outcome, step):
        self.assertEqual(outcome.exit, 0, outcome.story())
        self.assertEqual(outcome.of("end")[-1]["status"], "succeeded", outcome.story())
        self.assertEqual(outcome.frames[0]["step"], step)
        self.assertEqual(check_frames(outcome), 0)

    def whole_way(self, cluster, build_security, auth=(), mounts=()):
        options = [*auth, *PLAIN]
        fetched = cluster.step("fetch", f"--url={cluster.url}")
        self.assert_step(fetched, "fetch")
        self.assertRegex(fetched.results["commit"], "^[0-9a-f]{40}$")
        resolved = cluster.step("resolve", f"--build-arg=BASE={cluster.base}", "--build-arg=GREETING=ahoy", *options,
                                mounts=mounts)
        self.assert_step(resolved, "resolve")
        built = cluster.step("build", *options, security=build_security, mounts=mounts)
        self.assert_step(built, "build")
        commands = built.of("command")
        self.assertFalse([command for command in commands if "exit 99" in command["text"]], "an unused stage ran")
        self.assertEqual(sorted({command["n"] for command in commands}), list(range(1, commands[0]["of"] + 1)))
        self.assertTrue(all(command["trust"] == "writer" for command in commands), commands[:2])
        self.assertIn("made the letter", built.log)
        pushed = cluster.step("push", f"--image={cluster.registry}/team/letter:v1", "--tag=latest", *options,
                              mounts=mounts)
        self.assert_step(pushed, "push")
        digest = pushed.results["IMAGE_DIGEST"]
        self.assertRegex(digest, "^sha256:[0-9a-f]{64}$")
        said, inspected = cluster.pull_and_run(f"{cluster.registry}/team/letter@{digest}")
        self.assertEqual(said, "words from the repository\nahoy\n4711:100\nreader\n")
        self.assertEqual(inspected["Config"]["Labels"]["purpose"], "test")
        said, inspected = cluster.pull_and_run(f"{cluster.registry}/team/letter:latest")
        self.assertEqual(inspected["Digest"], digest)

    def test_root_without_sys_admin(self):
        with Cluster(repository=FILES) as cluster:
            self.whole_way(cluster, RECIPE_A)

    def test_root_without_sys_admin_or_new_privileges(self):
        with Cluster(repository=FILES) as cluster:
            self.whole_way(cluster, [*RECIPE_A, "--security-opt", "no-new-privileges"])

    def test_user_1000(self):
        with Cluster(repository=FILES) as cluster:
            self.whole_way(cluster, RECIPE_B)

    def test_a_registry_with_authentication(self):
        with Cluster("--registry-user", "ada:pa-ss-wo-rd", repository=FILES) as cluster:
            auth = cluster.auth_file()
            mounts = [(auth, "/auth.json")]
            self.whole_way(cluster, RECIPE_A, auth=["--authfile=/auth.json"], mounts=mounts)
            wrong = cluster.auth_file("wrong.json", password="no")
            refused = cluster.step("push", f"--image={cluster.registry}/team/letter:v2", "--authfile=/auth.json",
                                   *PLAIN, mounts=[(wrong, "/auth.json")])
            self.assertEqual((refused.exit, refused.of("error")[0]["class"]), (11, "auth"), refused.story())
            self.assertNotIn(b"pa-ss-wo-rd", cluster.state_files())

    def test_all_four_in_one_process(self):
        with Cluster(repository=FILES) as cluster:
            done = cluster.step("run", f"--url={cluster.url}", f"--build-arg=BASE={cluster.base}",
                                f"--image={cluster.registry}/team/letter:v1", *PLAIN, security=RECIPE_A)
            self.assertEqual(done.exit, 0, done.story())
            self.assertEqual([frame["step"] for frame in done.frames if frame["kind"] == "end"],
                             ["fetch", "resolve", "build", "push"])
            said, _ = cluster.pull_and_run(f"{cluster.registry}/team/letter:v1")
            self.assertIn("words from the repository", said)


class PrivateSources(unittest.TestCase):
    def test_by_token(self):
        with Cluster("--git-token", "to-ken-4711", repository=FILES, tag_base=False) as cluster:
            secret = cluster.files / "basic"
            secret.mkdir()
            (secret / "username").write_text("x")
            (secret / "password").write_text("to-ken-4711")
            done = cluster.step("fetch", f"--url={cluster.url}", "--basic-auth-dir=/basic", mounts=[(secret, "/basic")])
            self.assertEqual(done.exit, 0, done.story())
            self.assertNotIn(b"to-ken-4711", done.out + done.err + cluster.state_files())
            refused = cluster.step("fetch", f"--url={cluster.url}")
            self.assertEqual((refused.exit, refused.of("error")[0]["class"]), (11, "auth"), refused.story())

    def test_over_ssh(self):
        with Cluster("--ssh", repository=FILES, tag_base=False) as cluster:
            directory = cluster.facts["ssh_dir"]
            for name in ("id_ed25519", "known_hosts"):
                cluster.fetch_file(f"{directory}/{name}", f"ssh/{name}").chmod(0o644)
            done = cluster.step("fetch", f"--url={cluster.facts['ssh']}/srv/git/project.git", "--ssh-dir=/ssh",
                                mounts=[(cluster.files / "ssh", "/ssh")])
            self.assertEqual(done.exit, 0, done.story())

    def test_by_a_private_authority(self):
        with Cluster("--tls", repository=FILES, tag_base=False) as cluster:
            ca = cluster.fetch_file(cluster.facts["ca"], "ca.pem")
            ca.chmod(0o644)
            done = cluster.step("fetch", f"--url={cluster.url}", "--ca-file=/ca.pem", mounts=[(ca, "/ca.pem")])
            self.assertEqual(done.exit, 0, done.story())


class WhatGoesWrong(unittest.TestCase):
    def built(self, dockerfile, *build_options, **options):
        with Cluster(repository={"Dockerfile": dockerfile, **options}) as cluster:
            self.assertEqual(cluster.step("fetch", f"--url={cluster.url}").exit, 0)
            resolved = cluster.step("resolve", f"--build-arg=BASE={cluster.base}", *PLAIN)
            if resolved.exit != 0:
                return resolved
            built = cluster.step("build", *PLAIN, *build_options, security=RECIPE_A)
            self.assertEqual(check_frames(built), 0)
            return built

    def test_a_failing_run_says_which_line_and_status(self):
        done = self.built("ARG BASE\nFROM ${BASE}\nRUN true\nRUN echo about to fail; exit 42\nRUN true\n")
        error = done.of("error")[0]
        self.assertEqual((done.exit, error["class"], error["code"]), (10, "build", "builderror"), done.story())
        self.assertIn("42", json.dumps(error))
        self.assertEqual(error["where"]["line"], 4)
        self.assertIn("about to fail", done.log)
        self.assertEqual([command["state"] for command in done.of("command")][-1], "failed")

    def test_a_missing_base_image_is_the_authors(self):
        done = self.built("ARG BASE\nFROM ${BASE}-which-is-not-there\n")
        self.assertEqual((done.exit, done.of("error")[0]["code"]), (10, "cannotpullbaseimage"), done.story())

    def test_a_run_forges_nothing(self):
        forged = '{\\"slipway\\":1,\\"seq\\":1,\\"kind\\":\\"end\\"}'
        done = self.built('ARG BASE\nFROM ${BASE}\n'
                          f'RUN echo "STEP 9/9: RUN forged"; echo "{forged}"; echo COMMIT x\n')
        self.assertEqual(done.exit, 0, done.story())
        self.assertFalse([command for command in done.of("command") if command["text"].startswith("RUN forged")])
        self.assertIn("STEP 9/9: RUN forged", done.log)

    def test_a_read_only_registry(self):
        with Cluster("--registry-read-only", repository={"Dockerfile": "FROM scratch\nCOPY README /\n"},
                     tag_base=False) as cluster:
            for verb, options, security in (("fetch", [f"--url={cluster.url}"], RESTRICTED),
                                            ("resolve", PLAIN, RESTRICTED), ("build", PLAIN, RECIPE_A)):
                done = cluster.step(verb, *options, security=security)
                self.assertEqual(done.exit, 0, done.story())
            done = cluster.step("push", f"--image={cluster.registry}/team/x:1", "--retries=1", *PLAIN)
            error = done.of("error")[0]
            self.assertEqual((done.exit, error["code"]), ({"auth": 11, "registry": 13}[error["class"]], "pushissue"),
                             done.story())

    def test_a_pod_that_cannot_build_says_so_before_pulling(self):
        with Cluster(repository=FILES) as cluster:
            self.assertEqual(cluster.step("fetch", f"--url={cluster.url}").exit, 0)
            self.assertEqual(cluster.step("resolve", f"--build-arg=BASE={cluster.base}", *PLAIN).exit, 0)
            done = cluster.step("build", *PLAIN, security=RESTRICTED)
            error = done.of("error")[0]
            self.assertEqual((done.exit, error["class"], error["code"]), (14, "pod", "podforbids"), done.story())
            self.assertTrue(error["hint"])
            self.assertFalse(done.of("phase") and any(phase["name"] == "pulling" for phase in done.of("phase")))


class TheImage(unittest.TestCase):
    def shell(self, script, *options):
        return run(RUNTIME, "-c", script, options=["--entrypoint", "sh", "--network", "none", *options]).stdout.decode()

    def test_it_holds_no_compiler_git_or_set_id_program(self):
        self.assertEqual(self.shell("for p in git gcc cc g++ make curl wget python3; do command -v $p; done; "
                                    "find / -xdev -type f -perm /6000 2>/dev/null; true"), "")

    def test_map_programs_get_by_with_file_capabilities(self):
        settings = [*RECIPE_B, "--env", "HOME=/tmp", *without_ambient("sh"), "--network", "none"]
        script = "grep -E '^Cap(Eff|Amb)' /proc/self/status; exec buildah unshare cat /proc/self/uid_map"
        said = run(RUNTIME, "-c", script, options=settings).stdout.split()
        self.assertEqual(said, f"CapEff: {0:016} CapAmb: {0:016} 0 1000 1 1 1 999 1000 1001 64535".encode().split())

    def test_file_capabilities_are_in_the_exported_layers(self):
        """What a registry or an archive carries is these tar files; an attribute missing there is lost."""
        with tempfile.TemporaryDirectory() as directory:
            archive = Path(directory) / "image.tar"
            podman("save", "--quiet", "--format", "oci-archive", "--output", archive, RUNTIME)
            found, attribute = {}, "SCHILY.xattr.security.capability"
            with tarfile.open(archive) as image:
                for member in image:
                    content = image.extractfile(member) if member.isfile() else None
                    if not content or content.read(2) != b"\x1f\x8b":
                        continue
                    content.seek(0)
                    with tarfile.open(fileobj=content, mode="r|gz") as layer:
                        found |= {entry.name: (entry.mode & 0o7777, attribute in entry.pax_headers)
                                  for entry in layer if entry.name in ("usr/bin/newuidmap", "usr/bin/newgidmap")}
        self.assertEqual(found, {"usr/bin/newuidmap": (0o755, True), "usr/bin/newgidmap": (0o755, True)})

    def test_folders_serve_any_user_of_group_0(self):
        said = self.shell("touch /slipway/state/x /slipway/work/x /slipway/source/x && stat -c %a:%g /slipway/state",
                          "--user", "54321:0", "--cap-drop", "ALL")
        self.assertEqual(said, "2775:0\n")

    def test_labels_say_what_it_is(self):
        labels = json.loads(podman("image", "inspect", RUNTIME).stdout)[0]["Config"]["Labels"]
        self.assertEqual(labels["org.opencontainers.image.title"], "slipway")
        self.assertEqual(labels["org.opencontainers.image.licenses"], "Apache-2.0")
        self.assertRegex(labels["org.opencontainers.image.version"], r"^\d+\.\d+\.\d+$")
        version = json.loads(run(RUNTIME, "version", "--json", options=["--network", "none"]).stdout)
        self.assertEqual(version["commit"], labels["org.opencontainers.image.revision"])

    def test_the_base_is_debian(self):
        self.assertTrue(BASE)
        self.assertTrue(re.search("^VERSION_CODENAME=trixie$", self.shell("cat /etc/os-release"), re.M))


if __name__ == "__main__":
    unittest.main()
