# SPDX-License-Identifier: Apache-2.0
"""world: everything that one run makes, and its certain end."""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE = 5  # how much longer than usual things may take: the machine may be busy, or stand still for seconds
PR_SET_PDEATHSIG = 1
NETNS_DIR = Path("/run/netns")
TESTS_DIR = str(Path(__file__).resolve().parent.parent)
_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """Something that the lab asked for did not happen; the text says what."""


class Interrupted(BaseException):
    """A signal asked us to end."""

    def __init__(self, signum):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


def until(what, condition, timeout=10.0, step=0.02):
    """Waits for condition() to be true and returns its value; `what` names it when it never is. `timeout`
    is for a machine that is not busy."""
    timeout *= PATIENCE
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise LabError(f"not within {timeout:g} s: {what}")
        time.sleep(step)


def _child_setup():
    # A World that is killed outright takes its processes with it.
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Process:
    """A program that a World started, known by its pid; its output goes to files."""

    def __init__(self, world, name, argv, ns=None, env=None, cwd=None):
        self.world = world
        self.name = name
        self.argv = [str(a) for a in argv]
        self.out = world.dir / f"{name}.out"
        self.err = world.dir / f"{name}.err"
        full = (["ip", "netns", "exec", ns.full] if ns else []) + self.argv
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.popen = subprocess.Popen(
                full, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=cwd,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": TESTS_DIR, **(env or {})},
                start_new_session=True, preexec_fn=_child_setup)
        self.pid = self.popen.pid

    @property
    def running(self):
        return self.popen.poll() is None

    @property
    def text(self):
        """Everything it wrote so far."""
        return self.out.read_text(errors="replace") + self.err.read_text(errors="replace")

    def wait_for(self, text, timeout=10.0):
        """Waits until its output matches the regular expression `text`."""
        def seen():
            if re.search(text, self.text):
                return True
            if not self.running:
                raise LabError(f"{self.name} ended ({self.popen.returncode}) before it said "
                               f"{text!r}:\n{self.text[-2000:]}")
            return False

        until(f"{self.name} says {text!r}", seen, timeout)
        return self

    def wait(self, timeout=30.0):
        timeout *= PATIENCE
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} (pid {self.pid}) has not ended within {timeout:g} s") from None

    def kick(self, signum):
        if self.running:
            os.kill(self.pid, signum)

    def stop(self, signum=signal.SIGTERM, timeout=30.0):
        """Asks it to end; insists after `timeout`. Returns its exit status."""
        if self.running:
            self.kick(signum)
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.world.note(f"{self.name} (pid {self.pid}) did not end by {signal.Signals(signum).name}")
                self._kill_group()
                self.popen.wait(timeout)
        return self.popen.returncode

    def _kill_group(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class World:
    """Context manager: namespaces, processes, files of one run.

    `keep` leaves everything in place at the end (for exploration). The directory of logs is removed
    only if the run was good: call failed() to keep it.
    """

    def __init__(self, name="lab", keep=False):
        self.name = name
        self.keep = keep
        self.prefix = f"tb{os.getpid()}-"
        self.dir = None
        self.namespaces = {}
        self.processes = []
        self.notes = []
        self._failed = False
        self._at_end = []
        self._handlers = {}
        self._serial = 0

    # ------------------------------------------------------------ life

    def __enter__(self):
        if os.geteuid() != 0:
            raise LabError("network namespaces need root: run it with sudo")
        for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._handlers[s] = signal.signal(s, self._interrupt)
        remove_leftovers()
        self.dir = Path(tempfile.mkdtemp(prefix=f"twinbore-{self.name}-", dir="/tmp"))
        self.dir.chmod(0o755)
        (self.dir / "pid").write_text(f"{os.getpid()}\n")
        return self

    def __exit__(self, kind, value, trace):
        for s in self._handlers:
            signal.signal(s, signal.SIG_IGN)
        if kind is not None and not issubclass(kind, (Interrupted, SystemExit)):
            self._failed = True
        try:
            if not self.keep:
                self._clean()
        finally:
            for s, h in self._handlers.items():
                signal.signal(s, h)
        return False

    @staticmethod
    def _interrupt(signum, _frame):
        raise Interrupted(signum)

    def failed(self):
        """Something was not as it should be: the logs stay."""
        self._failed = True

    @property
    def logs_kept(self):
        return self._failed or bool(os.environ.get("TWINBORE_LAB_KEEP_LOGS"))

    def note(self, text):
        self.notes.append(text)

    def at_end(self, fn):
        """Calls fn() before processes are ended, last registered first."""
        self._at_end.append(fn)

    def _clean(self):
        for fn in reversed(self._at_end):
            try:
                fn()
            except Exception as e:  # the rest of the cleaning must go on
                self.note(f"cleaning: {e}")
        for p in reversed(self.processes):
            p.stop()
        for ns in list(self.namespaces.values()):
            ns.remove()
        if self.logs_kept:
            (self.dir / "pid").unlink(missing_ok=True)  # the mark of a leftover
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        for n in self.notes:
            print(f"# {n}", file=sys.stderr)

    # -------------------------------------------------------- contents

    def serial(self):
        """A number of its own for everything that wants one."""
        self._serial += 1
        return self._serial

    def spawn(self, argv, ns=None, name=None, env=None, cwd=None):
        name = f"{self.serial():02d}-{name or Path(str(argv[0])).name}"
        p = Process(self, name, argv, ns, env, cwd)
        self.processes.append(p)
        return p

    def run(self, argv, ns=None, check=True, timeout=60, env=None, stdin=None):
        """Runs a command to its end; returns the CompletedProcess with text."""
        timeout *= PATIENCE
        full = (["ip", "netns", "exec", ns.full] if ns else []) + [str(a) for a in argv]
        try:
            r = subprocess.run(full, capture_output=True, text=True, timeout=timeout, input=stdin,
                               env={**os.environ, **(env or {})}, errors="replace",
                               stdin=None if stdin is not None else subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise LabError(f"not within {timeout} s: {' '.join(full)}") from None
        if check and r.returncode != 0:
            raise LabError(f"{' '.join(full)}: status {r.returncode}\n{(r.stdout + r.stderr).strip()[-2000:]}")
        return r


def pids_in(full):
    r = subprocess.run(["ip", "netns", "pids", full], capture_output=True, text=True)
    return [int(p) for p in r.stdout.split()]


def delete_namespace(full):
    """Ends what still runs in the namespace (by pid; it is ours alone), then removes it."""
    for signum, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 1.0)):
        pids = pids_in(full)
        for pid in pids:
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                pass
        end = time.monotonic() + patience
        while pids and time.monotonic() < end and pids_in(full):
            time.sleep(0.02)
    subprocess.run(["ip", "netns", "del", full], capture_output=True)


def remove_leftovers():
    """Namespaces and directories of runs that were killed before they could clean up."""
    for path in NETNS_DIR.glob("t*-*"):
        m = re.fullmatch(r"(?:tb|twd)(\d+)-.+", path.name)
        if m and not Path(f"/proc/{m[1]}").exists():
            delete_namespace(path.name)
    for path in Path("/tmp").glob("twinbore-*/pid"):
        try:
            if path.parent.lstat().st_uid != os.geteuid():
                continue
            pid = path.read_text().strip()
        except OSError:
            continue
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(path.parent, ignore_errors=True)
