#!/usr/bin/env python3
"""How long `pipeline filter` takes over many rows of metadata, and in how much memory.

    python3 bench/filter.py [--rows 10000000] [--cache ~/.cache/troika/bench] [--profile release]

The rows come from `pipeline/examples/filter_rows.rs`: URL, caption, sizes and a score, in shards of half a million. Each set
of rules runs three times into a new folder; the table has the median. The time is the whole program's, the memory is
what the kernel says was resident at most.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import results

SETS = {
    "sizes, a score, lengths": """rules=[
        {kind="side", min=200}, {kind="aspect", max=3}, {kind="column", column="clip_score", min=0.28},
        {kind="characters", min=6}, {kind="words", min=3, by="spaced"}]""",
    "every text rule but languages": """rules=[
        {kind="mojibake"}, {kind="unicode"}, {kind="characters", min=5}, {kind="words", min=2},
        {kind="caption-shape"}, {kind="regex", column="url", refuse='(?i)\\.(svg|gif)\\b'},
        {kind="blocked-domains", domains=["host7.example"]}, {kind="blocked-words", words=["vintage poster"]}]""",
    "repeated captions": """rules=[{kind="repeated", max=100}]""",
    "datacomp-basic (languages by whatlang)": "preset=datacomp-basic",
}


def make(bin, folder, rows):
    """The table, made once for each number of rows."""
    done = folder / "made"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([str(bin / "examples" / "filter_rows"), str(folder), str(rows)], check=True)
        done.touch()
    return sum(shard.stat().st_size for shard in folder.glob("*.parquet"))


def measure(command):
    """Seconds, peak memory in MiB, and the last JSON line of a command."""
    started = time.monotonic()
    child = subprocess.Popen(command, cwd=results.ROOT, stdout=subprocess.PIPE)
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"failed: {' '.join(command)}")
    return time.monotonic() - started, usage.ru_maxrss / 1024, json.loads(said.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--profile", default="release")
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path.home() / ".cache" / "troika" / "bench")
    parser.add_argument("--print", action="store_true", help="print the section instead of writing it")
    args = parser.parse_args()
    bin = results.build("-p", "pipeline", "--bin", "pipeline", "--example", "filter_rows", profile=args.profile)
    table, out = args.cache / f"filter-{args.rows}", args.cache / "filter-out"
    size = make(bin, table, args.rows)
    lines = []
    for name, rules in SETS.items():
        times, peaks = [], []
        for _ in range(args.runs):
            shutil.rmtree(out, ignore_errors=True)
            command = [str(bin / "pipeline"), "filter", str(table), "--out", str(out), "--json", "--set", rules]
            seconds, peak, summary = measure(command)
            times.append(seconds)
            peaks.append(peak)
        kept = f"{100 * summary['rows'] / summary['rows_read']:.0f} %"
        lines.append([name, kept, "under 30 s, 1,024 MiB", f"{statistics.median(times):.1f} s", f"{max(peaks):.0f} MiB"])
    shutil.rmtree(out, ignore_errors=True)
    about = (
        f"{results.processor()}, {results.profile(args.profile)}, {args.rows:,} rows of metadata ({size >> 20} MiB of "
        f"Parquet), median of {args.runs} runs. `python3 bench/filter.py`."
    )
    title = "Filter: rows of metadata"
    section = results.section(title, about, ["rules", "kept", "asked", "time", "peak memory"], lines)
    print(section) if args.print else results.replace(title, section)


if __name__ == "__main__":
    main()
