"""The limit of rows a and b: decode, resize and encode alone, by `pipeline/examples/picture_time.rs`."""
import json
import statistics

from . import measure


def alone(job, name, programs, files, runs):
    """The same library calls over the same files in as many threads, without network and shards: the limit."""
    walls, cpus, parts = [], [], {}
    with job.scratch() as folder:
        for _ in range(job.rounds):
            run = measure.run([programs / "picture_time", files], folder)
            if not run.ok:
                raise RuntimeError(run.said)
            found = json.loads(run.said)
            walls.append(found["wall_s"])
            cpus.append(run.cpu)
            parts = {part: ms / found["pictures"] for part, ms in found["thread_ms"].items()}
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    told = ", ".join(f"{part} {ms:.2f}" for part, ms in parts.items())
    ours = statistics.median(run.wall for run in runs), statistics.median(run.cpu for run in runs)
    return [
        [name, f"picture work alone, CPU, ms per image ({told})", "", f"{1000 * cpu / runs[0].count:.2f}", ""],
        [name, "wall time against that of the picture work alone", "at most 1.25 ×", f"{ours[0] / wall:.2f} ×", ""],
        [name, "CPU time against that of the picture work alone", "at most 1.25 ×", f"{ours[1] / cpu:.2f} ×", ""],
    ]
