"""Row f: one slow host among a hundred must not hold up the others."""
import asyncio
import statistics

from . import tools
from .job import write_links
from .loopback import Http, response
from .measure import spread
from .nginx import Nginx

HOSTS = 100
# Seconds before the slow host answers.
DELAY = 0.5


def one_slow(job):
    """one host of 100 that answers after half a second: wall time against the same crawl with that host as fast as the rest"""
    files = job.pictures("small", job.count(3000, 300), 0, 0, 400, 300)
    names = sorted(path.name for path in files.glob("*.jpg"))
    count, walls = job.count(6000, 400), {"fast": [], "slow": []}
    with Nginx(files, hosts=1) as nginx, Slow(files) as slow, job.scratch() as folder:
        # Without a port: that of `net.resolve` counts.
        links = [f"http://host-{n % HOSTS:02}.example/{names[n % len(names)]}?{n}" for n in range(count)]
        links = write_links(folder / "links.csv", links)
        fast = [f"host-{n:02}.example={nginx.hosts[0]}:{nginx.port}" for n in range(HOSTS)]
        slowed = [*fast[:50], f"host-50.example=127.0.0.1:{slow.port}", *fast[51:]]
        for turn in range(job.rounds):
            for kind, resolve in (("fast", fast), ("slow", slowed)):
                walls[kind].append(crawl(job, folder / f"{turn}-{kind}", links, count, resolve))
        asked = slow.asked // job.rounds
    ratio = statistics.median(walls["slow"]) / statistics.median(walls["fast"])
    table = [
        ["all hosts fast", "", f"{spread(walls['fast'], '{:.2f}')} s"],
        [f"one host answers after {DELAY} s", "", f"{spread(walls['slow'], '{:.2f}')} s"],
        ["slow against fast", "at most 1.1 ×", f"{ratio:.2f} ×"],
    ]
    about = (
        f"{count:,} JPEGs of 400 × 300 in units of {count // 6:,} on {HOSTS} hosts by `net.resolve`, {asked} requests to the slow one; "
        f"{job.rounds} rounds, in turn: median (smallest–largest)"
    )
    job.report("Crawl: one slow host of 100", about, ["what", "asked", "measured"], table)


def crawl(job, folder, links, count, resolve):
    """Wall seconds of one run, which must be complete."""
    folder.mkdir()
    # The limit per host of the open web; hosts that the config names have none of their own accord.
    sections = {"net": {"resolve": resolve, "per_host": 4}, "output": {"rows_per_unit": count // 6}}
    run, summary = tools.ours(job.program, folder, links, sections)
    if not run.ok or summary["counts"].get("ok", 0) != count:
        raise RuntimeError(f"not complete: {summary or run.said[-2000:]}")
    return run.wall


class Slow(Http):
    """Answers every request for a picture `DELAY` seconds later."""

    def __init__(self, root):
        super().__init__()
        self.root, self.asked = root, 0

    async def answer(self, host, target, writer):
        if target == "/robots.txt":
            return writer.write(response(b"", "404 Not Found"))
        self.asked += 1
        await asyncio.sleep(DELAY)
        return writer.write(response((self.root / target.lstrip("/").split("?")[0]).read_bytes()))
