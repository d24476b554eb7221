"""Row f: one slow host among a hundred must not hold up the others."""
import asyncio
import statistics

from . import tools
from .job import write_links
from .loopback import Http, response
from .measure import spread
from .nginx import Nginx

HOSTS = 100
# Seconds before the slow host answers. With the longer one its own requests take longer than all of the others.
DELAYS = (0.25, 0.5)
# Downloads at a time from one host: that of the open web.
PER_HOST = 4


def one_slow(job):
    """one host of 100 that answers late: wall time against the same crawl with that host as fast as the rest"""
    files = job.pictures("small", job.count(3000, 300), 0, 0, 400, 300)
    names = sorted(path.name for path in files.glob("*.jpg"))
    count, walls, asked = job.count(6000, 400), {delay: [] for delay in (0, *DELAYS)}, {}
    with Nginx(files, hosts=1) as nginx, Slow(files) as slow, job.scratch() as folder:
        # Without a port: that of `net.resolve` counts.
        links = [f"http://host-{n % HOSTS:02}.example/{names[n % len(names)]}?{n}" for n in range(count)]
        links = write_links(folder / "links.csv", links)
        fast = [f"host-{n:02}.example={nginx.hosts[0]}:{nginx.port}" for n in range(HOSTS)]
        slowed = [*fast[:50], f"host-50.example=127.0.0.1:{slow.port}", *fast[51:]]
        for turn in range(job.rounds):
            for delay in walls:
                slow.asked, slow.delay = 0, delay
                walls[delay].append(crawl(job, folder / f"{turn}-{delay}", links, count, slowed if delay else fast))
                asked[delay] = slow.asked
    alone = statistics.median(walls[0])
    table = [["all hosts fast", "", f"{spread(walls[0], '{:.2f}')} s"]]
    for delay in DELAYS:
        wall, least = statistics.median(walls[delay]), asked[delay] * delay / PER_HOST
        what = f"one host answers after {delay} s"
        table += [
            [what, "", f"{spread(walls[delay], '{:.2f}')} s"],
            [f"{what}: what its {asked[delay]} requests take, {PER_HOST} at a time", "", f"{least:.2f} s"],
            [f"{what}: against all hosts fast", "at most 1.1 ×" if least < alone else "", f"{wall / alone:.2f} ×"],
            [f"{what}: against the longer of the two", "at most 1.1 ×", f"{wall / max(alone, least):.2f} ×"],
        ]
    about = (
        f"{count:,} JPEGs of 400 × 300 in units of {count // 6:,} on {HOSTS} hosts by `net.resolve`; "
        f"{job.rounds} rounds, in turn: median (smallest–largest)"
    )
    job.report("Crawl: one slow host of 100", about, ["what", "asked", "measured"], table)


def crawl(job, folder, links, count, resolve):
    """Wall seconds of one run, which must be complete."""
    folder.mkdir()
    # Hosts that the config names would have a higher limit of their own accord.
    sections = {"net": {"resolve": resolve, "per_host": PER_HOST}, "output": {"rows_per_unit": count // 6}}
    run, summary = tools.ours(job.program, folder, links, sections)
    if not run.ok or summary["counts"].get("ok", 0) != count:
        raise RuntimeError(f"not complete: {summary or run.said[-2000:]}")
    return run.wall


class Slow(Http):
    """Answers every request for a picture `delay` seconds later."""

    def __init__(self, root):
        super().__init__()
        self.root, self.asked, self.delay = root, 0, 0.0

    async def answer(self, host, target, writer):
        if target == "/robots.txt":
            return writer.write(response(b"", "404 Not Found"))
        self.asked += 1
        await asyncio.sleep(self.delay)
        return writer.write(response((self.root / target.lstrip("/").split("?")[0]).read_bytes()))
