#!/usr/bin/env python3
"""Measures how fast a small model draws with and without its cache; writes a section of RESULTS.md.

    python3 bench/sampling.py

The model has a text of 64 and 32 × 32 codes of 8,192, width 256, 4 layers, 8 heads, and random weights: the time does not
depend on them.
"""
import argparse
import json
import pathlib
import subprocess

import results
from crawling import measure

TITLE, ASKED = "Sampling: with and without the cache", 10
PARTS = ["layers", "head", "choice", "vectors"]


def run(program, mode, batch):
    """What one run of the example says."""
    done = subprocess.run([program, mode, str(batch)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, help="folder of the built example, to build nothing")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16])
    args = parser.parse_args()
    folder = args.programs or results.build("--workspace", "--example", "sampling_speed") / "examples"
    program = folder.resolve() / "sampling_speed"
    table = []
    for batch in args.batches:
        cached, uncached = [], []
        for _ in range(args.rounds):
            cached.append(run(program, "cached", batch)["tokens_per_second"])
            # Sixteen passes over up to 1,088 positions of each sequence: the smaller batches stand for the largest.
            if batch <= 4:
                uncached.append(run(program, "uncached", batch)["tokens_per_second"])
        parts = run(program, "parts", batch)
        whole = sum(parts.values())
        where = ", ".join(f"{name} {parts[name] / whole:.0%}" for name in PARTS)
        middle = sorted(cached)[len(cached) // 2]
        against = f"{middle / sorted(uncached)[len(uncached) // 2]:.0f}" if uncached else ""
        slow = measure.spread(uncached, "{:.1f}") if uncached else "not measured"
        table.append([str(batch), measure.spread(cached, "{:.0f}"), slow, against, f"{whole * 1000:.2f}", where])
    about = (
        f"{results.processor()}; program built with {results.profile('dev')}; text of 64, 32 × 32 codes of 8,192, width 256, "
        "4 layers, 8 heads, f32, top-k 768, top-p 0.99; all 1,024 codes with the cache, every 64th without it and counted 64 "
        "times; both in turn. A step is one in the middle of the image. `python3 bench/sampling.py`."
    )
    columns = ["batch", "codes/s, cached", "codes/s, uncached", f"times (asked {ASKED})", "ms a cached step", "of it"]
    results.replace(TITLE, results.section(TITLE, about, columns, table))


if __name__ == "__main__":
    main()
