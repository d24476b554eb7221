#!/usr/bin/env python3
"""Measures how fast training batches are made of token shards on disk; writes a section of RESULTS.md.

    cargo demo -- --limit 200 --steps 2       # the data of the second table; any run of the demo will do
    python3 bench/loader.py [--demo demo-out]
"""
import argparse
import json
import pathlib
import resource
import subprocess

import results
from crawling import measure

TITLE, ASKED, ROWS, BATCHES = "The loader alone: RuDOLPH's batches from shards", 20e6, 400_000, 20_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, help="folder of the built example, to build nothing")
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path.home() / ".cache" / "troika" / "bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--demo", type=pathlib.Path, help="the demo's folder: measures how long its training waits for batches")
    args = parser.parse_args()
    folder = (args.programs or results.build("--workspace", "--bins", "--examples")).resolve()
    program, shards = folder / "examples" / "loader_speed", args.cache / "loader" / "shards"
    if not shards.exists():
        subprocess.run([program, "make", shards, str(ROWS)], check=True)
    size = sum(path.stat().st_size for path in shards.iterdir())
    runs = []
    for _ in range(args.rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        # One core for both threads: the one that reads ahead and the one that makes batches.
        command = ["taskset", "-c", "0", program, "read", shards, str(BATCHES)]
        said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        said["cpu"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        runs.append(said)
    rates = [one["tokens_per_second"] / 1e6 for one in runs]
    cpu = [one["tokens"] / one["cpu"] / 1e6 for one in runs]
    memory = max(one["memory"] for one in runs)
    about = (
        f"{results.processor()}; program built with {results.profile('dev')}; {ROWS:,} rows of random ids (20) and codes (16 × 16 of 8,192) in shards of "
        f"10,000 rows, {size / 2**20:.0f} MiB, from a warm disk; {BATCHES:,} batches of 32 rows of 320 tokens, shuffled in windows of 65,536 rows, the next "
        f"window read ahead by a second thread on the same core (taskset). `python3 bench/loader.py`."
    )
    columns = [f"million tokens/s (asked {ASKED / 1e6:.0f})", "million tokens per CPU second", "MiB at most"]
    table = [[measure.spread(rates, "{:.1f}"), measure.spread(cpu, "{:.1f}"), f"{memory / 2**20:.0f}"]]
    text = results.section(TITLE, about, columns, table)
    if args.demo:
        text += stalls(folder / "train", args.demo.resolve(), args.cache)
    results.replace(TITLE, text)


def stalls(program, demo, cache):
    """A table of the share of the demo's training that waits for batches, all rows in memory and in windows."""
    rows = []
    for what, buffer in [("all rows in memory", 0), ("windows of 256 rows", 256)]:
        run = cache / "loader" / f"run-{buffer}"
        sets = [f"run.out={run}", "run.steps=60", "run.validate_every=0", "run.sample_every=0", f"data.buffer_rows={buffer}",
                f"data.tokens={demo}/tokens", f"data.bpe={demo}/bpe.model"]
        command = [program, "configs/demo/rudolph.toml", "--fresh", "-q", *(word for one in sets for word in ("--set", one))]
        subprocess.run(command, check=True, cwd=results.ROOT)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        steps = [line for line in lines if line["type"] == "train"]
        rows.append(f"| {what} | {100 * max(line['stall'] for line in steps):.3f} | {1000 / steps[-1]['steps_per_second']:.0f} |")
    head = "| the demo's training | % of the step time that waits for batches, at most (asked 1) | ms a step |"
    return "\n" + "\n".join([head, "|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    main()
