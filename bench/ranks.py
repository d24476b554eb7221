#!/usr/bin/env python3
"""Several processes and devices that train one model: equal weights, equal losses, a killed process, a signal.

    cargo demo -- --limit 200 --steps 2                 # the data; any run of the demo will do
    cargo build --package train --features mpi
    python3 bench/ranks.py --program target/debug/train [--demo demo-out] [--steps 50]

Every run trains the demo's RuDOLPH, made smaller, with the same global batch. The hashes of weights and moments are those
that the ranks compare before the first step and before each checkpoint; each rank computes its own, and rank 0 prints all of
them as a JSON line. Needs `mpirun` (Debian: openmpi-bin).
"""
import argparse
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import results

TITLE = "Several processes and devices"
SETS = ["model.layers=2", "model.dim=64", "run.log_every=1", "run.sample_every=0", "data.held_out_rows=8"]
TIMED = {"seconds", "stall", "checkpoint_stall", "steps_per_second", "tokens_per_second", "mfu", "memory"}


class Runs:
    """Starts runs in a folder of their own."""

    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.env = {**os.environ, "RAYON_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

    def start(self, name, ranks, *sets):
        every = self.args.steps // 5
        demo = [f"data.tokens={self.args.demo}/tokens", f"data.bpe={self.args.demo}/bpe.model", f"run.out={self.folder}/{name}"]
        steps = [f"run.steps={self.args.steps}", f"run.checkpoint_every={every}", f"run.validate_every={every}"]
        sets = [word for one in [*SETS, *demo, *steps, *sets] for word in ("--set", one)]
        command = [self.args.program, "configs/demo/rudolph.toml", "--json", *sets]
        if ranks > 1:
            command = ["mpirun", "--oversubscribe", "-n", str(ranks), *command]
        # A file, not a pipe: nobody reads while a run is waited for.
        out = open(self.folder / f"{name}.jsonl", "a+")
        return subprocess.Popen(command, cwd=results.ROOT, env=self.env, stdout=out, stderr=subprocess.PIPE, text=True)

    def run(self, name, ranks, *sets):
        """A whole run: its seconds, the hashes that its ranks compared last, its losses, the hash of the model's file."""
        began = time.monotonic()
        child = self.start(name, ranks, *sets)
        said = child.communicate()[1]
        if child.returncode:
            sys.exit(f"{name}: exit {child.returncode}\n{said}")
        return {"seconds": time.monotonic() - began, **self.look(name, ranks)}

    def look(self, name, ranks):
        lines = [json.loads(line) for line in (self.folder / f"{name}.jsonl").read_text().splitlines()]
        compared = [line["sha256"] for line in lines if line["type"] == "compared"]
        if any(len(each) != ranks or len(set(each)) != 1 for each in compared) or (ranks > 1) != bool(compared):
            sys.exit(f"{name}: the ranks do not hold the same: {compared}")
        weights = (self.folder / name / "model" / "weights.safetensors").read_bytes()
        metrics = [json.loads(line) for line in (self.folder / name / "metrics.jsonl").read_text().splitlines()]
        metrics = [{key: value for key, value in line.items() if key not in TIMED} for line in metrics]
        return {"compared": len(compared), "weights": hashlib.sha256(weights).hexdigest(), "metrics": metrics}

    def until(self, name, step, child):
        """Waits until a run has logged a step."""
        file = self.folder / name / "metrics.jsonl"
        while child.poll() is None:
            if file.exists() and any(f'"step":{step},' in line for line in file.read_text().splitlines()):
                return
            time.sleep(0.01)
        sys.exit(f"{name}: ended before step {step}: {child.communicate()[1]}")

    def disturb(self, name, rank, kind):
        """Sends one rank of four a signal in the middle, and runs the same command again."""
        child = self.start(name, 4, "data.parts=4")
        self.until(name, self.args.steps // 2, child)
        started = children(child.pid)
        os.kill(process(child.pid, rank), kind)
        child.communicate(timeout=60)
        left, ended = started, time.monotonic()
        # `mpirun` may be gone a moment before the processes that it has ended.
        while left and time.monotonic() < ended + 10:
            time.sleep(0.01)
            left = [pid for pid in left if pathlib.Path(f"/proc/{pid}").exists()]
        kept = max(path.name for path in (self.folder / name / "checkpoints").iterdir())
        return {"code": child.returncode, "left": len(left), "kept": int(kept.split("-")[1]), **self.run(name, 4, "data.parts=4")}


def children(parent):
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == parent:
                found.append(int(stat.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def process(mpirun, rank):
    """The process of a rank."""
    wanted = f"OMPI_COMM_WORLD_RANK={rank}".encode()
    return next(pid for pid in children(mpirun) if wanted in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))


def apart(one, other):
    """The largest relative difference between the losses of two runs."""
    worst = 0.0
    for a, b in zip(one["metrics"], other["metrics"], strict=True):
        for key, value in a.items():
            if isinstance(value, float) and key not in {"lr", "grad_norm"}:
                worst = max(worst, abs(value - b[key]) / max(abs(value), 1e-9))
    return worst


def row(name, found, reference):
    """A line of the table; what is compared has to be equal, or nearly so where the parts differ."""
    same = "the same bits" if found["weights"] == reference["weights"] else "other bits"
    compared = f"{found['compared']} times" if found["compared"] else ""
    return [name, same, f"{apart(found, reference):.1e}", compared, f"{found['seconds']:.1f} s"]


def measure(runs):
    one = runs.run("one", 1, "data.parts=4")
    found = {"1 process": one}
    found |= {f"{ranks} processes": runs.run(f"ranks{ranks}", ranks, "data.parts=4") for ranks in (2, 4)}
    found["1 process, devices cpu,cpu"] = runs.run("devices", 1, "data.parts=4", 'run.devices=["cpu", "cpu"]')
    found["2 processes, devices cpu,cpu"] = runs.run("both", 2, "data.parts=4", 'run.devices=["cpu", "cpu"]')
    killed = runs.disturb("killed", 2, signal.SIGKILL)
    found[f"4, one killed (SIGKILL): exit {killed['code']}, {killed['left']} left running after 10 s; again from step {killed['kept']}"] = killed
    stopped = runs.disturb("stopped", 3, signal.SIGTERM)
    found[f"4, one told to stop (SIGTERM): exit {stopped['code']}; again from step {stopped['kept']}"] = stopped
    table = [row(name, each, one) for name, each in found.items()]
    whole = runs.run("whole", 1, "data.parts=1")
    table.append(row("data.parts = 1: 4 processes against 1", runs.run("cut", 4, "data.parts=1"), whole))
    bad = [line[0] for line in table[:-1] if line[1:3] != ["the same bits", "0.0e+00"]]
    return table, bad + ([] if float(table[-1][2]) < 1e-6 else [table[-1][0]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--demo", default="demo-out", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--steps", type=int, default=50)
    args = parser.parse_args()
    mpi = subprocess.run(["mpirun", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    with tempfile.TemporaryDirectory() as folder:
        table, bad = measure(Runs(args, pathlib.Path(folder)))
    about = (f"{results.processor()}, {mpi}, one thread a process; configs/demo/rudolph.toml with two layers, 64 wide; {args.steps} "
             "steps of the same 8 rows, cut into 4 parts. Weights and losses against those of one process; hashes of weights and moments "
             "that all ranks compared and found equal. More processes than cores, so the times say nothing of speed. `python3 bench/ranks.py`.")
    header = ["run", "weights at the end", "largest relative difference of a loss", "compared", "time"]
    results.replace(TITLE, results.section(TITLE, about, header, table))
    sys.exit(f"not equal: {', '.join(bad)}" if bad else 0)


if __name__ == "__main__":
    main()
