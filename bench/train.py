#!/usr/bin/env python3
"""Measures a training step of a small GPT against PyTorch eager; writes a section of RESULTS.md.

    python3 bench/train.py

Both programs run in turn, with the same number of threads. PyTorch has SDPA and the fused AdamW. Needs PyPI once, for a virtual
environment with torch in the cache; --python names a Python that has torch already.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess

import results
from crawling import measure

TITLE, ASKED = "Training: a step of a small GPT", 0.6
PEER = pathlib.Path(__file__).resolve().parent / "training" / "gpt.py"
LIBRARIES = ["torch==2.15.0", "safetensors==0.8.0", "numpy==2.4.6"]


def run(command, threads):
    """What one run says, with the CPU seconds of the whole process."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = json.loads(done.stdout.splitlines()[-1])
    # The first steps warm caches and allocators up.
    said["step"] = statistics.median(said["seconds"][3:])
    said["cpu"] = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / len(said["seconds"])
    return said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, help="folder of the built example, to build nothing")
    parser.add_argument("--python", type=pathlib.Path, help="a Python that has torch; do not install it")
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path.home() / ".cache" / "troika" / "bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    folder = args.programs or results.build("--workspace", "--example", "train_speed") / "examples"
    python = args.python or results.python(args.cache / "venv-torch", LIBRARIES)
    ours, theirs = [], []
    for _ in range(args.rounds):
        ours.append(run([folder.resolve() / "train_speed", str(args.steps)], args.threads))
        theirs.append(run([python, PEER, str(args.steps), str(args.threads)], args.threads))
    ratio = statistics.median(one["step"] for one in theirs) / statistics.median(one["step"] for one in ours)
    row = lambda name, runs, note: [
        name, measure.spread([1000 * one["step"] for one in runs], "{:.0f}"), f"{1000 * statistics.median(one['cpu'] for one in runs):.0f}",
        f"{statistics.median(one['memory'] for one in runs) / 2**20:.0f}", note]
    last = ours[-1]
    whole = last["forward"] + last["backward"] + last["update"]
    where = ", ".join(f"{part} {last[part] / whole:.0%}" for part in ["forward", "backward", "update"])
    mfu = last["flops"] / last["step"] / last["product_flops"]
    table = [
        row("train", ours, f"{where}; MFU {mfu:.0%} of a large product's speed"),
        row(f"PyTorch {theirs[-1]['torch']}, eager, SDPA", theirs, ""),
        [f"ratio (asked {ASKED})", f"{ratio:.2f}", "", "", ""],
    ]
    about = (
        f"{results.processor()}; program built with {results.profile('dev')}; width 256, 4 layers, 8 heads, sequence 320, batch 8, vocabulary 4,096, f32, "
        f"AdamW with clipping, {args.threads} threads each; the median of {args.steps - 3} steps of {args.rounds} runs in turn. `python3 bench/train.py`."
    )
    columns = ["program", "ms a step", "CPU ms a step", "MiB at most", "where the time goes"]
    results.replace(TITLE, results.section(TITLE, about, columns, table))


if __name__ == "__main__":
    main()
