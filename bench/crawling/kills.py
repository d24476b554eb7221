"""Row h: `kill -9` at random instants, then the same command again: the shards of an undisturbed run, byte for byte."""
import hashlib
import json
import random
import signal
import subprocess
import time

from . import tools
from .job import write_links
from .nginx import Nginx

KILLS = 20
UNITS = 20
SEED = 20


def resumed(job):
    """kill -9 at 20 random instants, then a rerun: byte-identical shards"""
    files = job.pictures("small", job.count(3000, 300), 0, 0, 400, 300)
    names = sorted(path.name for path in files.glob("*.jpg"))[: job.count(1000, 200)]
    with Nginx(files) as nginx, job.scratch() as folder:
        links = write_links(folder / "links.csv", [nginx.link(n, name) for n, name in enumerate(names)])
        sections = {"net": {"allow": nginx.allow()}, "output": {"rows_per_unit": len(names) // UNITS}}
        whole, _ = crawl(job, folder / "undisturbed", links, sections)
        expected = shards(folder / "undisturbed" / "ours")
        if not whole.ok or len(expected) != UNITS:
            raise RuntimeError(whole.said[-2000:])
        rng, same, partial = random.Random(SEED), 0, 0
        for turn in range(job.count(KILLS, 3)):
            place = folder / str(turn)
            killed_at(job, place, links, sections, rng.uniform(0, whole.wall))
            done = len(list((place / "ours").glob("_commits/*.json")))
            partial += 0 < done < UNITS
            run, _ = crawl(job, place, links, sections)
            same += run.ok and shards(place / "ours") == expected
    kills = job.count(KILLS, 3)
    table = [
        ["byte-identical to an undisturbed run", f"{kills} of {kills}", f"{same} of {kills}"],
        ["kills that left some units done and some not", "", f"{partial} of {kills}"],
    ]
    about = f"{len(names):,} JPEGs of 400 × 300 in {UNITS} units, {whole.wall:.1f} s undisturbed; instants evenly spread over it, seed {SEED}"
    job.report("Crawl: kill -9, then again", about, ["what", "asked", "measured"], table)


def crawl(job, folder, links, sections):
    folder.mkdir(exist_ok=True)
    return tools.ours(job.program, folder, links, sections)


def killed_at(job, folder, links, sections, seconds):
    """Starts a crawl and kills it after so many seconds."""
    folder.mkdir()
    config = tools.config(folder, links, folder / "ours", sections)
    child = subprocess.Popen([job.program / "pipeline", "crawl", config, "-q"], stdin=subprocess.DEVNULL)
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    child.wait()


def shards(out):
    """SHA-256 of the bytes of every committed shard, by unit."""
    units = [json.loads(path.read_text())["unit"] for path in out.glob("_commits/*.json")]
    return {unit: hashlib.sha256((out / f"{unit:05}.parquet").read_bytes()).hexdigest() for unit in units}
