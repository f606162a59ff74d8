"""Recipe C: a user nobody heard of, no capability, nothing to gain; what a RUN may do is pretended."""

import unittest

from cluster import RECIPE_A, RECIPE_C, RUNTIME, TOP, Cluster, check_frames, run

BASE = """\
ARG BASE
FROM ${BASE}
RUN mkfifo /pipe && rm /etc/debian_version && useradd --uid 77 keeper && echo k >/kept && chown 77:77 /kept
"""
DOCKERFILE = """\
ARG BASE
FROM ${BASE} AS make
RUN test -p /pipe && test ! -e /etc/debian_version && echo the base is whole
RUN useradd --create-home --uid 4711 writer && su writer -c 'echo su works'
RUN echo "$APT_CONFIG" && apt-get --version >/dev/null && apt-config dump | grep Sandbox
RUN mknod /null c 1 3; mkdir /deep && chown -R 4711:4711 /deep && install -o writer -m 0640 /etc/passwd /deep/copy

FROM ${BASE}
COPY --chown=1:2 words /words
COPY --from=make /etc/passwd /etc/passwd
COPY --from=make --chown=writer /deep /deep
USER writer
RUN id -u && mkdir -p /home/writer/made && rm /kept
CMD ["sh", "-c", "cat /words; stat -c %n:%u:%g:%a /words /deep/copy; test -e /kept || echo gone; env | grep APT; true"]
"""
FILES = {"Dockerfile": DOCKERFILE, "words": "words\n", "base/Dockerfile": BASE}
APT = """\
ARG BASE
FROM ${BASE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends hello >/dev/null
CMD ["hello"]
"""
PLAIN = "--tls-verify=false"
PROFILE = ["--security-opt", f"seccomp={TOP / 'deploy/seccomp/slipway-restricted.json'}"]
UNCONFINED = ["--security-opt", "seccomp=unconfined"]


class Emulation(unittest.TestCase):
    def succeeded(self, outcome):
        self.assertEqual(outcome.exit, 0, outcome.story())
        self.assertEqual(check_frames(outcome), 0)
        return outcome

    def a_base(self, cluster):
        """An image with what is lost most easily: a FIFO, a file deleted, an owner."""
        self.succeeded(cluster.step("fetch", f"--url={cluster.url}"))
        self.succeeded(cluster.step("resolve", "--context=base", f"--build-arg=BASE={cluster.base}", PLAIN))
        self.succeeded(cluster.step("build", PLAIN, security=RECIPE_A))
        self.succeeded(cluster.step("push", f"--image={cluster.registry}/base/odd:1", PLAIN))
        run(RUNTIME, "-rf", "/slipway/state/image", options=["--user", "0", "--entrypoint", "rm", "--network", "none",
                                                            "--volume", f"{cluster.state}:/slipway/state"])
        return f"{cluster.registry}/base/odd:1"

    def build(self, cluster, base, seccomp, *options):
        self.succeeded(cluster.step("resolve", f"--build-arg=BASE={base}", PLAIN))
        built = cluster.step("build", PLAIN, *options, security=[*RECIPE_C, *seccomp])
        self.succeeded(built)
        hello = built.of("hello")[0]
        self.assertEqual(hello["recipe"]["name"], "C")
        self.assertIn("ownerslost", [warning["code"] for warning in built.of("warning")])
        self.assertTrue(all(command["trust"] == "writer" for command in built.of("command")))
        return built

    def whole(self, seccomp, *options):
        with Cluster(repository=FILES) as cluster:
            base = self.a_base(cluster)
            built = self.build(cluster, base, seccomp, *options)
            for line in ("the base is whole", "su works", 'APT::Sandbox::User "root";'):
                self.assertIn(line, built.log)
            plan_commands = {command["n"] for command in built.of("command")}
            self.assertEqual(sorted(plan_commands), list(range(1, built.of("command")[0]["of"] + 1)))
            self.succeeded(cluster.step("push", f"--image={cluster.registry}/team/c:1", PLAIN))
            said, inspected = cluster.pull_and_run(f"{cluster.registry}/team/c:1")
            self.assertEqual(said, "words\n/words:0:0:644\n/deep/copy:0:0:640\ngone\n")
            self.assertFalse([entry for entry in inspected["Config"].get("Env", []) if "APT" in entry])
            self.assertEqual(inspected["Config"]["User"], "writer")

    def test_overlay_unconfined(self):
        self.whole(UNCONFINED)

    def test_vfs_under_our_own_profile(self):
        self.whole(PROFILE, "--storage=vfs")

    def test_packages_on_a_read_only_root_under_our_own_profile(self):
        with Cluster(repository={"Dockerfile": APT}) as cluster:
            self.succeeded(cluster.step("fetch", f"--url={cluster.url}"))
            self.build(cluster, cluster.base, [*PROFILE, "--read-only", "--read-only-tmpfs=false"])
            self.succeeded(cluster.step("push", f"--image={cluster.registry}/team/hello:1", PLAIN))
            said, _ = cluster.pull_and_run(f"{cluster.registry}/team/hello:1")
            self.assertEqual(said, "Hello, world!\n")


if __name__ == "__main__":
    unittest.main()
