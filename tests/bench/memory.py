"""Memory of a process that runs, and of those below it."""

import threading
from pathlib import Path


def descendants(pid):
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from descendants(int(child))


class Memory:
    """What `pid` and the processes below it take, in MiB, looked at every few milliseconds: the high-water mark of the `first`
    and of the `largest`, with what is mapped of its program; `together`, the most that all of them held at one time of memory
    that is theirs alone and that no kernel can take back. (What wait4 says begins with our own size.)"""

    def __init__(self, pid):
        self.first = self.largest = self.together = 0
        self._pid, self._ended = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self):
        self._ended.set()
        self._thread.join()

    def _watch(self):
        while not self._ended.wait(0.003):
            own = 0
            try:
                for each in descendants(self._pid):
                    for line in Path(f"/proc/{each}/status").read_text().splitlines():
                        if line.startswith("VmHWM:"):
                            peak = int(line.split()[1]) / 1024
                            self.first = peak if each == self._pid else self.first
                            self.largest = max(self.largest, peak)
                        elif line.startswith("RssAnon:"):
                            own += int(line.split()[1]) / 1024
            except OSError:
                pass  # one of them has ended
            self.together = max(self.together, own)
