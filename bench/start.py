#!/usr/bin/env python3
"""How long every command takes to its first line, on what `cargo demo` left in a folder.

    cargo demo && python3 bench/start.py [--demo demo-out] [--runs 5]

The clock runs from before the process is started to the first byte it writes to standard output or standard error; then
the process is killed if it is a long one. Commands that write get a folder of their own, new for each run.
"""
import argparse
import os
import pathlib
import select
import statistics
import subprocess
import sys
import tempfile
import time

import results

ROOT = results.ROOT


def first_byte(command):
    """Milliseconds to the first byte of either stream."""
    started = time.monotonic()
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ready, _, _ = select.select([child.stdout, child.stderr], [], [], 60)
    passed = time.monotonic() - started
    said = b"".join(os.read(stream.fileno(), 1 << 16) for stream in ready)
    child.kill()
    child.communicate()
    if not said.strip():
        sys.exit(f"said nothing: {' '.join(command)}")
    if b"error" in said[:80]:
        sys.exit(f"failed: {' '.join(command)}\n{said.decode()}")
    return 1000 * passed


def prepare(bin, demo, folder):
    """A link list of one dead link and a picture, which some commands want."""
    links, picture = folder / "links.txt", folder / "picture.png"
    links.write_text("http://127.0.0.1:9/a.png\n")
    draw = [str(bin / "train"), "sample", f"{demo}/rudolph", "--prompt", "cat", "--out", str(picture)]
    subprocess.run(draw, cwd=ROOT, check=True, capture_output=True)
    return str(links), str(picture)


def commands(bin, demo, links, picture, new):
    """Every command with arguments that work on the demo's folder; `new` is a folder for what they write."""
    pipeline, tokenize, train = (str(bin / name) for name in ("pipeline", "tokenize", "train"))
    pairs, tokens, bpe, run = (f"{demo}/{name}" for name in ("pairs", "tokens", "bpe.json", "rudolph"))
    codec = "configs/demo/codec/vqgan.safetensors"
    rudolph = [f"data.tokens={tokens}", f"data.codec={codec}", f"data.bpe={bpe}", f"run.out={new}/rudolph"]
    vqgan = [f"data.pairs={pairs}", f"run.out={new}/vqgan"]
    sets = lambda keys: [part for key in keys for part in ("--set", key)]
    yield "pipeline crawl", [pipeline, "crawl", links, "--out", f"{new}/pairs"]
    yield "pipeline status", [pipeline, "status", pairs]
    yield "pipeline show", [pipeline, "show", pairs]
    yield "tokenize bpe", [tokenize, "bpe", pairs, "--vocab-size", "512", "--out", f"{new}/bpe.json"]
    yield "tokenize shards", [tokenize, "shards", pairs, "--codec", codec, "--bpe", bpe, "--set", "image_size=64", "--out", f"{new}/tokens"]
    yield "tokenize show", [tokenize, "show", tokens]
    yield "tokenize verify", [tokenize, "verify", tokens, "--pairs", pairs, "--codec", codec, "--out", f"{new}/verify.png"]
    yield "tokenize encode", [tokenize, "encode", "--codec", codec, "--image-size", "64", picture]
    yield "tokenize decode", [tokenize, "decode", "--bpe", bpe, "104", "87"]
    yield "train rudolph.toml", [train, "configs/demo/rudolph.toml", *sets(rudolph)]
    yield "train vqgan.toml", [train, "configs/demo/vqgan.toml", *sets(vqgan)]
    yield "train resume", [train, "resume", run]
    yield "train sample", [train, "sample", run, "--prompt", "cat", "--out", f"{new}/drawing.png"]
    yield "train caption", [train, "caption", run, picture]
    yield "train show", [train, "show", run]
    yield "cargo demo", [str(bin / "demo"), "--out", f"{new}/demo"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", default="demo-out")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    bin, times = results.build("--workspace", "--bins"), {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        links, picture = prepare(bin, args.demo, folder)
        for turn in range(args.runs):
            new = folder / str(turn)
            new.mkdir()
            for name, command in commands(bin, args.demo, links, picture, new):
                times.setdefault(name, []).append(first_byte(command))
    table = [[name, "under 1,000 ms", f"{statistics.median(found):.0f} ms", f"{max(found):.0f} ms"] for name, found in times.items()]
    about = f"{results.processor()}, dev profile, {args.runs} runs of each, in turn. `python3 bench/start.py`."
    title = "First line of every command"
    results.replace(title, results.section(title, about, ["command", "asked", "median", "slowest"], table))
    slow = [name for name, found in times.items() if max(found) >= 1000]
    sys.exit(f"slower than a second: {', '.join(slow)}" if slow else 0)


if __name__ == "__main__":
    main()
