"""The static binary alone: a container that holds nothing else, not even what a name look-up is configured with."""

import io
import os
import tarfile
import unittest

from cluster import RESTRICTED, RUNTIME, Cluster, Outcome, podman, run

# Services a static program cannot have; following this file it would load them as shared objects.
NSSWITCH = b"hosts: mymachines resolve [!UNAVAIL=return] myhostname files dns\npasswd: sss systemd files\n"


def image_of_the_binary():
    binary = run(RUNTIME, "/usr/bin/slipway", options=["--entrypoint", "cat", "--network", "none"]).stdout
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content, mode in (("bin/slipway", binary, 0o755), ("etc/nsswitch.conf", NSSWITCH, 0o644)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return podman("import", "--quiet", "-", f"localhost/slipway-empty:{os.getpid()}",
                  stdin=archive.getvalue()).stdout.decode().strip()


class EmptyContainer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.image = image_of_the_binary()
        cls.addClassCleanup(podman, "rmi", "--force", cls.image, check=False)

    def fetch(self, cluster, url):
        done = run(self.image, "/bin/slipway", "fetch", "--output=frames", "--state=/slipway/state", f"--url={url}",
                   "--retries=0", check=False,
                   options=[*RESTRICTED, "--network", "host", "--volume", f"{cluster.state}:/slipway/state"])
        return Outcome(done.returncode, done.stdout, done.stderr)

    def test_names_are_looked_up(self):
        with Cluster(tag_base=False) as cluster:
            run(RUNTIME, "0770", "/slipway/state", options=["--user", "0", "--entrypoint", "chmod", "--network", "none",
                                                           "--volume", f"{cluster.state}:/slipway/state"])
            fetched = self.fetch(cluster, cluster.url.replace("127.0.0.1", "localhost"))
            self.assertEqual(fetched.exit, 0, fetched.story())
            self.assertRegex(fetched.results["commit"], "^[0-9a-f]{40}$")
            unknown = self.fetch(cluster, "http://nowhere.invalid/a.git")
            self.assertEqual(unknown.exit, 12, unknown.story())
            self.assertEqual(unknown.of("error")[-1]["code"], "gitfailure")


if __name__ == "__main__":
    unittest.main()
