"""Starting one server program and being sure that it ends.

A program started here gets SIGTERM when its starter dies (parent-death signal), is stopped by process id
with SIGTERM, then SIGKILL, and its output is kept in a file for the error message of a failed start.
"""

import ctypes
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
START_SECONDS = 15
STOP_SECONDS = 5


class ServerError(RuntimeError):
    """A server did not start; the message ends with what it printed."""


def free_port(host="127.0.0.1"):
    """A port nobody listens on now. Another process may take it before the server does: callers retry."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Program:
    """A child process that serves until stop(). `answers` says whether it is ready."""

    def __init__(self, argv, log: Path, env=None):
        self.log = log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                preexec_fn=_die_with_parent, env={**os.environ, **(env or {})})

    def wait_until(self, answers):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if answers():
                return
            time.sleep(0.02)
        self.stop()
        tail = self.log.read_text(errors="replace")[-2000:]
        raise ServerError(f"{self.process.args[0]} did not start (status {self.process.returncode}):\n{tail}")

    def stop(self):
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(make_argv, log: Path, answers, env=None, attempts=3):
    """Starts the program on a free port. make_argv(port) and answers(port) get the port tried.

    Returns (Program, port). A port lost to another process between the choice and the bind costs an attempt.
    """
    for attempt in range(attempts):
        port = free_port()
        program = Program(make_argv(port), log, env)
        try:
            program.wait_until(lambda: answers(port))
            return program, port
        except ServerError:
            if attempt == attempts - 1:
                raise
    raise AssertionError("unreachable")


def accepts(port, host="127.0.0.1"):
    """Whether something accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
        return True
    except OSError:
        return False
