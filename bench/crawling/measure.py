"""One run of a program: wall and CPU seconds, peak memory, what it said."""
import contextlib
import os
import pathlib
import signal
import statistics
import subprocess
import threading
import time
from dataclasses import dataclass

# Seconds between two looks at the memory of a program and its children.
LOOK = 0.1


@dataclass
class Run:
    """What a run cost. CPU seconds include the children that the program waited for."""

    wall: float
    cpu: float
    peak: int  # bytes, summed over the processes that were alive together
    code: int | None  # exit code, None: stopped by the limit
    said: str  # standard output, then standard error
    count: int = 0  # images that it brought
    warm_wall: float = 0.0  # wall seconds less those of a run that does almost nothing
    warm_cpu: float = 0.0

    @property
    def ok(self):
        return self.code == 0


def run(command, folder, limit=600, env=None, at=None):
    """Runs `command`. `at` seconds after the start SIGINT is sent; at `limit` seconds the whole group is killed.

    What it says goes to files in `folder`, so that no pipe can fill up.
    """
    with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as err:
        started = time.monotonic()
        child = subprocess.Popen(
            [str(part) for part in command], stdout=out, stderr=err, stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})}, start_new_session=True,
        )
        memory = Memory(child.pid)
        timers = [threading.Timer(limit, kill, (child.pid, signal.SIGKILL))]
        if at is not None:
            timers.append(threading.Timer(at, kill, (child.pid, signal.SIGINT)))
        for timer in timers:
            timer.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - started
        for timer in timers:
            timer.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)  # so that Popen does not wait again
    over = wall >= limit
    kill(child.pid, signal.SIGKILL)  # workers that outlived their parent
    return Run(
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        peak=max(memory.stop(), usage.ru_maxrss * 1024),
        code=None if over else child.returncode,
        said=(folder / "stdout").read_text(errors="replace") + (folder / "stderr").read_text(errors="replace"),
    )


def kill(group, number):
    """A signal to the process group of a program that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


class Memory(threading.Thread):
    """Watches the resident memory of a process and all its descendants."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.ended = pid, 0, threading.Event()
        self.start()

    def run(self):
        while not self.ended.wait(LOOK):
            self.peak = max(self.peak, sum(map(resident, family(self.pid))))

    def stop(self):
        self.ended.set()
        self.join()
        return self.peak


def family(pid):
    """A process and its descendants."""
    yield pid
    with contextlib.suppress(OSError):
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from family(int(child))


def resident(pid):
    """Bytes of a process in memory; 0 once it is gone."""
    with contextlib.suppress(OSError, IndexError):
        return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def cpu_of(pids):
    """CPU seconds that running processes have used so far."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def spread(values, form="{:.1f}"):
    """Median, and the smallest and largest where there are several: `412.0 (398.1–420.7)`."""
    values = list(values)
    middle = form.format(statistics.median(values))
    if len(values) < 2:
        return middle
    return f"{middle} ({form.format(min(values))}–{form.format(max(values))})"
