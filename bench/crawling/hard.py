"""Row i: the test pictures of Pillow (broken, fuzzed, of rare formats, bombs) end in an image or a reason each, in bounded memory."""
import json
import subprocess
import tarfile
import urllib.parse

from . import tools
from .job import write_links
from .nginx import Nginx

PILLOW = "11.3.0"
# The result of every link in some shards, by the path of its URL; runs under the virtual environment's Python.
RESULTS = """
import json, sys, urllib.parse, pyarrow.parquet
column, found = sys.argv[1], {}
for shard in sys.argv[2:]:
    for row in pyarrow.parquet.read_table(shard, columns=["url", column]).to_pylist():
        found[urllib.parse.urlsplit(row["url"]).path] = row[column]
print(json.dumps(found))
"""


def accounted(job):
    """the test pictures of Pillow: an image or a reason for each, in bounded memory, against img2dataset"""
    files = pillow(job.cache)
    names = sorted(str(path.relative_to(files)) for path in files.rglob("*") if path.is_file())
    names = names[: job.count(len(names), 100)]
    with Nginx(files) as nginx, job.scratch() as folder:
        links = [nginx.link(n, urllib.parse.quote(name)) for n, name in enumerate(names)]
        path = write_links(folder / "links.csv", links)
        run, summary = tools.ours(job.program, folder, path, {"net": {"allow": nginx.allow()}})
        ours = results(job, "reason", (folder / "ours").glob("?????.parquet"))
        flags = {"input_format": "csv", "caption_col": "caption", "output_format": "parquet", "processes_count": 2}
        their_run, _, _ = tools.img2dataset(job.cache, folder, path, flags, limit=300)
        theirs = results(job, "status", (folder / "theirs").glob("?????.parquet"))
    if not run.ok:
        raise RuntimeError(run.said[-2000:])
    report(job, len(names), (run, summary, ours), (their_run, theirs))


def report(job, count, our_side, their_side):
    """The table, with the reasons of what img2dataset makes an image of and we do not."""
    (run, summary, ours), (their_run, theirs) = our_side, their_side
    reasons = {name: n for name, n in summary["counts"].items() if n}
    good = {path for path, reason in ours.items() if reason == "ok"}
    their_good = {path for path, status in theirs.items() if status == "success"}
    missed = tally(ours[path] for path in their_good - good)
    table = [
        ["pipeline", "files with an image or a reason", f"{count}", f"{sum(reasons.values())}: {told(reasons)}"],
        ["pipeline", "end", "exit code 0", f"exit code {run.code}, {run.wall:.1f} s, {run.cpu:.1f} s CPU"],
        ["pipeline", "lines of panics and backtraces", "0", str(run.said.count("panicked at"))],
        ["pipeline", "peak memory", "at most 1,024 MiB (run.memory_budget)", f"{run.peak / 2**20:.0f} MiB"],
        ["img2dataset", "files in its shards", "", f"{len(theirs)} of {count}, {len(their_good)} with an image"],
        ["img2dataset", "end", "", f"exit code {their_run.code}, {their_run.wall:.1f} s, peak {their_run.peak / 2**20:.0f} MiB"],
        ["both", "images of pipeline alone", "", str(len(good - their_good))],
        ["both", "images of img2dataset alone", "", f"{len(their_good - good)}: {told(missed)}"],
    ]
    about = f"{count:,} files of the tests of Pillow {PILLOW}, {tools.versions(job.cache)}"
    job.report("Crawl: hard pictures", about, ["program", "what", "asked", "measured"], table)


def results(job, column, shards):
    """{path of the URL: the value of `column`} over some Parquet shards."""
    command = [tools.python(job.cache), "-c", RESULTS, column, *sorted(shards)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def tally(names):
    """How often each name comes."""
    counts = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


def told(counts):
    """`ok 3, decode 1`, most frequent first."""
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))) or "none"


def pillow(cache):
    """The folder of Pillow's test pictures, from its source archive on PyPI; unpacked on the first call."""
    home = cache / f"pillow-{PILLOW}"
    if not (home / "ready").exists():
        command = [tools.python(cache), "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*command, "--dest", home, f"pillow=={PILLOW}"], check=True)
        with tarfile.open(home / f"pillow-{PILLOW}.tar.gz") as archive:
            archive.extractall(home, filter="data")
        (home / "ready").touch()
    return home / f"pillow-{PILLOW}" / "Tests" / "images"
