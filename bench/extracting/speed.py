"""One WAT file, read by `pipeline extract` and by cc2dataset's reader."""
import json
import pathlib
import statistics

from crawling import measure

from . import peer, tools, wat

# Bytes of a WAT file of Common Crawl.
FULL = 400e6
# The whole sample, and the part of it that is the most work.
FILES = {"sample": "as it is", "images": "its records with images alone"}


def measured(job):
    """The rows of the table, and how the files were made."""
    rows, about = [], []
    records = wat.records(job.wat)
    for name, what in FILES.items():
        parts = records if name == "sample" else wat.with_images(records)
        path = job.folder / f"{name}.wat.gz"
        packed, unpacked, times = wat.repeated(path, parts, job.size)
        about.append(f"{what} {times:,} times: {packed / 2**20:.0f} MiB packed, {unpacked / 2**20:.0f} MiB unpacked")
        runs = in_turn(job, path)
        rows += list(table(what, packed, runs))
        path.unlink()
    return rows + memory(job, records), about


def in_turn(job, path):
    """{program: its runs}: every program once, then every program again, …; all have to find the same links."""
    commands = {
        "pipeline": (ours(job, path, "--threads", "1"), extracted),
        "pipeline, a thread per core": (ours(job, path), extracted),
        "pipeline --compat cc2dataset": (ours(job, path, "--threads", "1", "--compat", "cc2dataset"), extracted),
        "cc2dataset": ([tools.python(job.cache), pathlib.Path(peer.__file__), path], int),
    }
    runs = {name: [] for name in commands}
    for _ in range(job.rounds):
        for name, (command, count) in commands.items():
            runs[name].append(once(job, command, count))
    links = {name: {run.count for run in found} for name, found in runs.items()}
    if links["pipeline --compat cc2dataset"] != links["cc2dataset"] or any(len(counts) > 1 for counts in links.values()):
        raise RuntimeError(f"the programs found different links: {links}")
    return runs


def ours(job, path, *flags):
    """An extraction into a fresh folder."""
    return [job.program / "pipeline", "extract", path, "--out", job.folder / "links", "--fresh", "--json", *flags]


def once(job, command, count):
    """One run that went well, with the links that `count` takes from what it said."""
    run = measure.run(command, job.folder, limit=1800)
    if not run.ok:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit code {run.code}: {run.said[-2000:]}")
    run.count = count((job.folder / "stdout").read_text())
    return run


def extracted(said):
    """The links of a summary, in which nothing may be malformed."""
    counts = json.loads(said.splitlines()[-1])["counts"]
    if counts["malformed"]:
        raise RuntimeError(f"malformed: {counts['malformed']}")
    return counts["links"]


def table(what, packed, runs):
    """Rows for one file."""
    scaled = FULL / packed
    theirs = statistics.median(run.cpu for run in runs["cc2dataset"])
    for name, found in runs.items():
        cpu = [run.cpu for run in found]
        asked = "at most 10" if name == "pipeline" else ""
        against = "" if name == "cc2dataset" else f"{theirs / statistics.median(cpu):.1f} ×"
        yield [name, f"{what}: CPU, s per 400 MB", asked, measure.spread([scaled * seconds for seconds in cpu]), against]
        wall = measure.spread([scaled * run.wall for run in found])
        yield [name, f"{what}: wall, s per 400 MB", "", wall, ""]
        yield [name, f"{what}: links", "", f"{found[0].count:,}", ""]
        peak = measure.spread([run.peak / 2**20 for run in found], "{:.0f}")
        yield [name, f"{what}: peak memory, MiB", "", peak, ""]


def memory(job, records):
    """Rows for peak memory with a file and one ten times as large, in a thread per core."""
    peaks = []
    for size in (job.size / 10, job.size):
        path = job.folder / "memory.wat.gz"
        wat.repeated(path, records, size)
        peaks.append(once(job, ours(job, path), extracted).peak)
        path.unlink()
    sizes = f"{job.size / 10 / 2**20:.0f} and {job.size / 2**20:.0f} MiB"
    return [
        ["pipeline", f"peak memory, MiB, files of {sizes}", "", " and ".join(f"{peak / 2**20:.0f}" for peak in peaks), ""],
        ["pipeline", "peak memory, ten times the file", "the same", f"{peaks[1] / peaks[0]:.2f} ×", ""],
    ]
