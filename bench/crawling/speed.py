"""Rows a, b, c: images per second and CPU seconds per image of both programs, in turn."""
import statistics

from . import picture_work, tools
from .job import write_links
from .measure import spread
from .nginx import Nginx

# What is asked of each build: images/s and CPU, as many times better than img2dataset.
ASKED = {"pipeline": 1.8, "pipeline + turbojpeg": 2.5}
# Shards: one for each of the two processes of img2dataset, which take whole ones. More only cost it time.
SHARDS = 2
HOSTS = 64


def small_set(job):
    return job.pictures("small", job.count(3000, 300), 0, 0, 400, 300)


def large_set(job):
    return job.pictures("large", job.count(400, 40), 1, 4)


def small(job):
    """3,000 JPEGs of 400 × 300 to 256 pixels, against img2dataset"""
    resized(job, "JPEGs of 400 × 300 to 256 pixels", small_set(job))


def large(job):
    """400 JPEGs of 1 to 4 megapixels to 256 pixels, against img2dataset and against the picture work alone"""
    resized(job, "JPEGs of 1 to 4 megapixels to 256 pixels", large_set(job))


def download_only(job):
    """download only, nothing decoded, nothing written, against img2dataset"""
    files = small_set(job)
    count = job.count(20000, 600)
    sections = {"output": {"format": "dummy"}, "image": {"disable_all_reencoding": True}}
    flags = {"output_format": "dummy", "disable_all_reencoding": True}
    ran, about = compare(job, files, count, sections, flags)
    table = rates(ran, dict.fromkeys(job.programs, 5.0))
    for name in job.programs:
        cost = [1000 * run.cpu / count for run in ran[name]]
        table.append([name, "CPU, ms per image", "at most 0.15", spread(cost, "{:.3f}"), ""])
    job.report("Crawl: download only", f"{count:,} links to JPEGs of 400 × 300; {about}", HEADER, table)


HEADER = ["program", "what", "asked", "measured", "against img2dataset"]


def resized(job, what, files):
    """One of the rows with decoding."""
    count = len(list(files.glob("*.jpg")))
    sections = {"output": {"rows_per_unit": -(-count // SHARDS)}}
    ran, about = compare(job, files, count, sections, {"output_format": "parquet"})
    table = rates(ran, ASKED)
    for name, programs in job.programs.items():
        table += picture_work.alone(job, name, programs, files, ran[name])
    job.report(f"Crawl: {what}", f"{count:,} pictures; {about}", HEADER, table)


def compare(job, files, count, sections, flags):
    """Runs of every program in turn, after a run of each that does not count: {name: [Run]}, and a line about them."""
    names = sorted(path.name for path in files.glob("*.jpg"))
    ran, server = {name: [] for name in [*job.programs, "img2dataset"]}, []
    with Nginx(files, hosts=HOSTS) as nginx, job.scratch() as folder:
        # A name of its own for every link, as a real list has.
        links = [nginx.link(n, f"{names[n % len(names)]}?{n}") for n in range(count)]
        all_links, few = write_links(folder / "links.csv", links), write_links(folder / "few.csv", links[:HOSTS])
        sections = {**sections, "net": {"allow": nginx.allow(), **sections.get("net", {})}}
        flags = {
            "input_format": "csv", "caption_col": "caption", "processes_count": 2, "thread_count": 64,
            "number_sample_per_shard": -(-count // SHARDS), "encode_quality": 95, **flags,
        }
        start = {name: one(job, name, folder, few, HOSTS, sections, flags) for name in ran}
        for turn in range(job.rounds):
            for name in ran:
                before = nginx.cpu()
                run = one(job, name, folder / f"{turn}-{name}", all_links, count, sections, flags)
                server.append((nginx.cpu() - before) / run.wall)
                ran[name].append(run)
    for name, run in ((name, run) for name, runs in ran.items() for run in runs):
        run.warm_wall = max(run.wall - start[name].wall, 1e-9)
        run.warm_cpu = max(run.cpu - start[name].cpu, 1e-9)
    source = (files / "source.txt").read_text().strip()
    return ran, (
        f"{tools.versions(job.cache)} with 2 processes of 64 threads, pictures cut from {source}; nginx on {HOSTS} loopback addresses, "
        f"at most {100 * max(server):.0f} % of a core; {job.rounds} rounds, in turn: median (smallest–largest); "
        f"after start-up: less what a run of {HOSTS} links takes"
    )


def one(job, name, folder, links, count, sections, flags):
    """One run of one program, checked for completeness."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "img2dataset":
        run, _, done = tools.img2dataset(job.cache, folder, links, flags)
    else:
        run, summary = tools.ours(job.programs[name], folder, links, sections, ["--fresh"])
        done = summary["counts"].get("ok", 0) if summary else 0
    if not run.ok or done != count:
        raise RuntimeError(f"{name}: exit code {run.code}, {done} of {count} images\n{run.said[-2000:]}")
    run.count = count
    return run


# What the tables tell of a run: text, form, figure, whether more is better.
FIGURES = (
    ("images/s", "{:.0f}", lambda run: run.count / run.wall, True),
    ("images/s after start-up", "{:.0f}", lambda run: run.count / run.warm_wall, True),
    ("CPU, ms per image", "{:.3f}", lambda run: 1000 * run.cpu / run.count, False),
    ("CPU after start-up, ms per image", "{:.3f}", lambda run: 1000 * run.warm_cpu / run.count, False),
)


def rates(ran, asked):
    """The rows of a table: what every program did, and for our builds how many times better than img2dataset that is."""
    table = []
    for name, runs in ran.items():
        for what, form, figure, more in FIGURES:
            ours, theirs = (statistics.median(map(figure, each)) for each in (runs, ran["img2dataset"]))
            want, ratio = (f"at least {asked[name]:g} ×", f"{ours / theirs if more else theirs / ours:.2f} ×") if name in asked else ("", "")
            table.append([name, what, want, spread(map(figure, runs), form), ratio])
        table.append([name, "peak memory, MiB", "", spread([run.peak / 2**20 for run in runs], "{:.0f}"), ""])
    return table


def prepare(job):
    """The picture sets of all rows."""
    for folder in (small_set(job), large_set(job)):
        files = list(folder.glob("*.jpg"))
        print(f"{folder}: {len(files)} files, {sum(file.stat().st_size for file in files) / len(files) / 1024:.0f} KiB on average")
