"""Row e: a crawl of a hostile server ends in time, accounts for every row, and asks nobody that it must not ask."""
import json
import subprocess

from . import tools
from .job import write_links
from .loopback import Http, response
from .trouble import Trouble

TIMEOUT = 3
RETRIES = 1
LIMIT = TIMEOUT * (RETRIES + 1) + 2
# img2dataset never ends on such a server: it is stopped after so many times the limit.
PATIENCE = 5
# Rows per reason in some shards; runs under the virtual environment's Python.
REASONS = """
import collections, json, sys, pyarrow.parquet
rows = [reason for shard in sys.argv[1:] for reason in pyarrow.parquet.read_table(shard, columns=["reason"])["reason"].to_pylist()]
print(json.dumps(collections.Counter(rows)))
"""


def ends(job):
    """a hostile server: ends in time, all rows accounted for, nobody asked who must not be"""
    picture = sorted(job.pictures("tiny", 100, 0, 0, 64, 48).glob("*.jpg"))[0].read_bytes()
    table = []
    for name in [*job.programs, *([] if job.quick else ["img2dataset"])]:
        with Secret() as secret, Trouble(picture, secret.port) as server, job.scratch() as folder:
            links = server.links()
            path = write_links(folder / "links.csv", links)
            crawl = theirs if name == "img2dataset" else ours
            run, rows, told = crawl(job, name, folder, path, server)
            private, disallowed = secret.asked, server.disallowed
        stopped = " (stopped)" if run.code is None else f" (exit code {run.code})"
        table += [
            [name, f"ends, timeout {TIMEOUT} s, {RETRIES} retry", f"within {LIMIT} s", f"{run.wall:.1f} s{stopped}"],
            [name, "rows accounted for", f"{len(links)}", f"{rows}{told}"],
            [name, "requests to private addresses", "0", f"{private}"],
            [name, "requests to paths that robots.txt disallows", "0", f"{disallowed}"],
            [name, "peak memory", "", f"{run.peak / 2**20:.0f} MiB"],
        ]
    about = f"{len(links)} links, one behaviour per loopback address (`bench/crawling/trouble.py`)"
    job.report("Crawl: a hostile server", about, ["program", "what", "asked", "measured"], table)


def ours(job, name, folder, path, server):
    """The run, rows in the shards by pyarrow, and their reasons."""
    net = {"allow": server.allow(), "timeout": float(TIMEOUT), "retries": RETRIES}
    run, _ = tools.ours(job.programs[name], folder, path, {"net": net}, limit=PATIENCE * LIMIT)
    command = [tools.python(job.cache), "-c", REASONS, *sorted((folder / "ours").glob("?????.parquet"))]
    reasons = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    told = ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items()))
    return run, sum(n for reason, n in reasons.items() if reason != "null"), f": {told}"


def theirs(job, _, folder, path, server):
    """The run, and rows in the stats files that it left."""
    flags = {"input_format": "csv", "caption_col": "caption", "output_format": "parquet", "timeout": TIMEOUT, "retries": RETRIES}
    run, rows, done = tools.img2dataset(job.cache, folder, path, flags, limit=PATIENCE * LIMIT)
    return run, rows, f": {done} with an image"


class Secret(Http):
    """What a private service would be: answers everybody, and counts."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    async def answer(self, host, target, writer):
        self.asked += 1
        writer.write(response(b"secret"))
