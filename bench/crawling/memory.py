"""Row d: memory and time to the first request with a Parquet list of 1 and of 10 million links."""
import subprocess
import time

from . import tools
from .job import HERE
from .nginx import Nginx

HOSTS = 256
IN_FLIGHT = 1024
# Bytes per second of one answer: a picture of 22 KiB takes about a second, so that 1,024 are in flight.
RATE = "10k"


def long_lists(job):
    """peak memory and time to the first request, lists of 1 and 10 million links, 1,024 in flight"""
    table, peaks = [], []
    for rows in (job.count(1_000_000, 50_000), job.count(10_000_000, 500_000)):
        wall, peak, (first, answered, open_at_once), size, code = crawl(job, rows)
        peaks.append(peak)
        what = f"{rows:,} links ({size / 2**20:.0f} MiB)"
        table += [
            [f"{what}: peak memory", "at most 600 MiB", f"{peak / 2**20:.0f} MiB"],
            [f"{what}: first request after", "less than 1 s", f"{first:.2f} s"],
            [f"{what}: answered when it was stopped", "", f"{answered:,} in {wall:.0f} s (exit code {code})"],
            [f"{what}: connections open at once", "", f"{open_at_once:,}"],
        ]
    table.append(["peak memory, ten times the links", "the same", f"{peaks[1] / peaks[0]:.2f} ×"])
    about = (
        f"{IN_FLIGHT:,} downloads at a time of JPEGs of 400 × 300 from {HOSTS} loopback addresses at {RATE}B/s each; "
        "URL and caption columns, row groups of 1,048,576; stopped by SIGINT"
    )
    job.report("Crawl: long Parquet lists", about, ["what", "asked", "measured"], table)


def crawl(job, rows):
    """One crawl, stopped after a while: wall s, peak bytes, what the server saw, list bytes, exit code."""
    files = job.pictures("small", job.count(3000, 300), 0, 0, 400, 300)
    count = len(list(files.glob("*.jpg")))
    with Nginx(files, HOSTS, log=True, extra=f"limit_rate {RATE}; rewrite ^/p/(.*)$ /$1 break;") as nginx, job.scratch() as folder:
        links = folder / "links.parquet"
        make = [tools.python(job.cache), "-m", "crawling.lists", links, rows, count, nginx.port, *nginx.hosts]
        subprocess.run([str(part) for part in make], cwd=HERE, check=True)
        sections = {"net": {"allow": nginx.allow(), "concurrency": IN_FLIGHT, "timeout": 30.0}}
        started = time.time()
        run, _ = tools.ours(job.program, folder, links, sections, at=job.count(60, 15))
        seen = server_saw(nginx.log, started)
        if seen is None:
            raise RuntimeError(f"no request: {run.said[-2000:]}")
        return run.wall, run.peak, seen, links.stat().st_size, run.code


def server_saw(log, since):
    """Seconds from `since` to the first request, pictures sent, connections open at once; None without a request."""
    first, answered, most = None, 0, 0
    for line in log.read_text().splitlines():
        end, took, status, connections = line.split()
        begun = float(end) - float(took) - since
        if begun >= -0.001:  # nginx tells milliseconds
            first = begun if first is None else min(first, begun)
            answered += status == "200"
            most = max(most, int(connections))
    return None if first is None else (first, answered, most)
