#!/usr/bin/env python3
"""Measures what `tokenize shards` costs beyond its codec; writes a section of RESULTS.md.

    python3 bench/shards.py --photos DIR --codec vqgan.safetensors
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import results

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "troika" / "bench"
ROUNDS = 3
# Sides in pixels: one grid, and three in one pass.
SIZES = [[128], [128, 192, 256]]


def programs(args):
    """`pipeline` and `tokenize`: given, or built."""
    build = ["--package", "pipeline", "--package", "tokenize", "--bin", "pipeline", "--bin", "tokenize"]
    folder = args.programs or results.build(*build, profile="release")
    return folder.resolve() / "pipeline", folder.resolve() / "tokenize"


def run(tokenize, pairs, out, args, sizes):
    """The summary of a run from nothing."""
    command = [tokenize, "shards", pairs, "--codec", args.codec, "--set", "captions=[]", "--out", out]
    command += ["--image-size", ",".join(map(str, sizes)), "--fresh", "--json", "-q"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"tokenize failed: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", required=True, metavar="DIR", help="a folder of photos")
    parser.add_argument("--codec", required=True, type=pathlib.Path, metavar="FILE", help="weights of an image codec")
    parser.add_argument("--side", type=int, default=512, help="shorter side of the pictures in the pair shards [512]")
    parser.add_argument("--limit", type=int, default=64, help="most pictures [64]")
    parser.add_argument("--quick", action="store_true", help="once; RESULTS.md stays as it is")
    parser.add_argument("--programs", type=pathlib.Path, metavar="DIR", help="take the programs from here, do not build")
    parser.add_argument("--built", default="not said how", metavar="TEXT", help="how these programs were built")
    parser.add_argument("--cache", type=pathlib.Path, default=CACHE, metavar="DIR", help=f"[{CACHE}]")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    pipeline, tokenize = programs(args)
    table, counts = [], {}
    with tempfile.TemporaryDirectory(dir=args.cache) as folder:
        folder = pathlib.Path(folder)
        crawl = [pipeline, "crawl", args.photos, "--out", folder / "all", "--image-size", args.side, "--resize-mode", "keep_ratio"]
        subprocess.run([*map(str, crawl), "-q"], check=True)
        (folder / "keys.txt").write_text("".join(f"{row:09}\n" for row in range(args.limit)))
        keep = [pipeline, "reshard", folder / "all", "--keep", folder / "keys.txt", "--out", folder / "pairs", "-q"]
        subprocess.run([*map(str, keep)], check=True)
        for sizes in SIZES:
            runs = [run(tokenize, folder / "pairs", folder / f"out-{len(sizes)}", args, sizes) for _ in range(1 if args.quick else ROUNDS)]
            runs.sort(key=lambda found: found["seconds"]["wall"])
            found = runs[len(runs) // 2]
            counts = found["counts"]
            seconds = found["seconds"]
            shares = [100 * (seconds["wall"] / seconds["codec"] - 1), 100 * seconds["decode"] / seconds["wall"]]
            table.append([
                " + ".join(map(str, sizes)), f"{counts['ok'] / seconds['wall']:.2f}", f"{seconds['wall']:.1f}",
                f"{seconds['codec']:.1f}", f"{seconds['decode']:.2f}", f"{seconds['write']:.2f}",
                f"{shares[0]:.1f} %", f"{shares[1]:.1f} %",
            ])
    columns = ["pixels", "pairs/s", "wall s", "in the codec s", "decoding s, all threads", "writing s",
               "wall beyond the codec", "decoding / wall"]
    built = f"programs built with {args.built}" if args.programs else results.profile("release")
    text = (f"{results.processor()}; {built}; {counts['ok']} photos of {args.side} pixels on the shorter side, codec {args.codec.name}; "
            "the median run of three. Decoding and writing run beside the codec. `python3 bench/shards.py`.")
    section = results.section("Token shards: time beyond the codec", text, columns, table)
    print(section)
    if not args.quick:
        results.replace("Token shards: time beyond the codec", section)


if __name__ == "__main__":
    main()
