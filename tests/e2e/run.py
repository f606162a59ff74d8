"""End to end through containers: the runtime image, a real registry, real git servers, under pod-like settings.

Runs on the machine itself (hack/test e2e); needs podman and Python's standard library. The servers run in a
container of the test image on the host's network; every step is a container of the runtime image. Prints
`N passed, N failed` last; the exit status says whether something failed.
"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))


def main():
    suite = unittest.defaultTestLoader.discover(str(Path(__file__).resolve().parent), pattern="test_*.py")
    names = sys.argv[1:]
    if names:
        suite = unittest.TestSuite(test for test in flat(suite) if any(name in test.id() for name in names))
    result = unittest.TextTestRunner(verbosity=2, failfast=False, stream=sys.stdout).run(suite)
    failed = len(result.failures) + len(result.errors)
    skipped = f", {len(result.skipped)} skipped" if result.skipped else ""
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed{skipped}")
    return 1 if failed else 0


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


if __name__ == "__main__":
    sys.exit(main())
