#!/usr/bin/env python3
"""Compares the memory that a run says it will take with what it takes; writes a section of RESULTS.md.

    python3 bench/memory.py
"""
import argparse
import json
import pathlib
import shutil
import subprocess

import results

TITLE, ASKED = "Memory: said before the start, and measured", 15
BASE = """kind = "{kind}"
[run]
out = "{out}"
steps = 5
log_every = 1
validate_every = 0
sample_every = 0
checkpoint_every = 2
keep = 1
recompute = {recompute}
[data]
tokens = "{data}/tokens"
codec = "{data}/codec.safetensors"
bpe = "{data}/bpe.json"
batch_size = {batch}
parts = {parts}
[model]
layers = {layers}
dim = {dim}
heads = 8
{left} = 64
grid = 16
text_vocab = 16384
image_vocab = 8192
dropout = {dropout}
[tasks]
text_to_image = 1.0
[optim]
kind = "{optim}"
"""
RUNS = [
    {"kind": "rudolph", "layers": 4, "dim": 256, "batch": 8, "parts": 1},
    {"kind": "rudolph", "layers": 8, "dim": 512, "batch": 8, "parts": 2},
    {"kind": "rudolph", "layers": 12, "dim": 768, "batch": 4, "parts": 1},
    {"kind": "dalle", "layers": 8, "dim": 512, "batch": 16, "parts": 4, "left": "text"},
    {"kind": "rudolph", "layers": 8, "dim": 512, "batch": 8, "parts": 1, "dropout": 0.1, "optim": "lion"},
    {"kind": "rudolph", "layers": 8, "dim": 512, "batch": 32, "parts": 1},
    {"kind": "rudolph", "layers": 8, "dim": 512, "batch": 32, "parts": 1, "recompute": "true"},
]
USUAL = {"recompute": "false", "dropout": 0.0, "optim": "adamw", "left": "left"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, help="folder of the built programs, to build nothing")
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path.home() / ".cache" / "troika" / "bench" / "memory")
    args = parser.parse_args()
    folder = (args.programs or results.build("--workspace", "--bins", "--examples")).resolve()
    shutil.rmtree(args.cache, ignore_errors=True)
    args.cache.mkdir(parents=True)
    subprocess.run([folder / "examples" / "tiny_world", args.cache, "16", "8192", "64"], check=True)
    table = []
    for number, run in enumerate(RUNS):
        full = {**USUAL, **run}
        config = args.cache / f"{number}.toml"
        config.write_text(BASE.format(out=args.cache / str(number), data=args.cache, **full))
        done = subprocess.run([folder / "train", config, "-q", "--json"], check=True, capture_output=True, text=True)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        said = next(record for record in records if record["type"] == "started")["memory"]
        held = max(record["memory"] for record in records if record["type"] == "train")
        what = f"{full['kind']}, {full['layers']} layers of {full['dim']}, batch {full['batch']} in {full['parts']}"
        what += "".join([", dropout" * (full["dropout"] > 0), ", recompute" * (full["recompute"] == "true"), f", {full['optim']}" * (full["optim"] != "adamw")])
        mib = lambda part: f"{said[part] / 2**20:.0f}"
        table.append([what, mib("weights"), mib("gradients"), mib("optimizer"), mib("activations"), mib("checkpoint"), mib("peak"), f"{held / 2**20:.0f}", f"{100 * (said['peak'] / held - 1):+.0f}"])
    about = (f"{results.processor()}; program built with {results.profile('dev')}; 64 text positions and 16 × 16 codes of 8,192; what is held at most is the "
             f"process's own high-water mark after 5 steps and two checkpoints. `python3 bench/memory.py`.")
    columns = ["run", "MiB weights", "gradients", "optimizer", "activations", "checkpoint", "said at most", "held at most", f"% apart (asked {ASKED})"]
    results.replace(TITLE, results.section(TITLE, about, columns, table))


if __name__ == "__main__":
    main()
