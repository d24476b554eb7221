#!/usr/bin/env python3
"""Runs `cargo demo` and writes its figures to bench/RESULTS.md.

    python3 bench/demo.py [--out DIR] [-- ARGUMENTS OF THE DEMO]

Builds first, so that the clock sees the demo alone. Wall time, CPU seconds and peak memory come from the kernel
(`wait4`), everything else from the demo's own `demo.json`. The section of this script in RESULTS.md is replaced; other
sections stay.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import results


def measure(command):
    """Wall seconds, CPU seconds, peak bytes and everything that a command says."""
    started = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} failed with status {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, said


def rows(figures, wall, cpu, peak, second, limit):
    codec, model, retrieval = figures["codec"], figures["model"], figures["retrieval"]
    crawl = figures["crawl"]
    yield "demo, wall", limit, f"{wall / 60:.1f} min ({cpu / 60:.1f} CPU min)"
    yield "peak memory", "at most 3 GiB", f"{peak / 2**30:.2f} GiB"
    yield "codec PSNR, test split", "at least 24 dB", f"{codec['psnr']:.2f} dB"
    yield "codebook in use, test split", "at least 60 %", f"{100 * codec['codes']['usage']:.1f} %"
    yield "held-out image loss", "under the baseline", f"{model['held_out_image']:.3f} against {model['code_frequency_baseline']:.3f} nats"
    yield "nearest training image is the right one", "at least 10 %", f"{100 * retrieval['top_1']:.1f} % of {retrieval['drawings']} (chance {100 * retrieval['chance']:.2f} %, median rank {retrieval['median_rank']})"
    yield "crawl", "all 1,369 rows", f"{crawl['rows']} rows, {json.dumps(crawl['reasons'])}"
    yield "second run", "says that crawl, words, tokens and training have nothing to do", f"{second} of 4 stages say so"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="demo-out")
    parser.add_argument("--title", default="The demo")
    parser.add_argument("arguments", nargs="*")
    args = parser.parse_args()
    command = [str(results.build("--package", "train", "--bin", "demo") / "demo"), "--out", args.out, *args.arguments]
    wall, cpu, peak, _ = measure([*command, "--fresh"])
    *_, said = measure(command)
    figures = json.loads((pathlib.Path(args.out) / "demo.json").read_text())
    load = f"load average at the end {os.getloadavg()[0]:.1f}"
    call = " ".join(["python3 bench/demo.py", *(["--", *args.arguments] if args.arguments else [])])
    about = f"{results.processor()}, burn {figures['machine']['burn']}, {figures['model']['steps']} steps; {load}. One run; `{call}`."
    # The limit is that of the demo as it stands.
    limit = "" if args.arguments else "at most 12 min"
    table = rows(figures, wall, cpu, peak, said.count("nothing to do: already done"), limit)
    results.replace(args.title, results.section(args.title, about, ["what", "asked", "measured"], table))


if __name__ == "__main__":
    main()
