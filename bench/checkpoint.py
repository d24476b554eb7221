#!/usr/bin/env python3
"""Measures how long a checkpoint of a model of 350 million weights keeps the training waiting; writes a section of RESULTS.md.

    python3 bench/checkpoint.py
"""
import argparse
import json
import pathlib
import shutil
import statistics
import subprocess

import results

TITLE, ASKED = "A checkpoint of 350 million weights", 2
CONFIG = """kind = "rudolph"
[run]
out = "{out}"
steps = {steps}
log_every = 1
validate_every = 0
sample_every = 0
checkpoint_every = 20
keep = 1
[data]
tokens = "{data}/tokens"
codec = "{data}/codec.safetensors"
bpe = "{data}/bpe.json"
batch_size = 1
[model]
layers = 24
dim = 1024
heads = 16
left = 64
grid = 4
right = 0
kernel = 3
last_kernel = 3
text_vocab = 20000
text_special = 384
image_vocab = 16
image_special = 384
[tasks]
text_to_image = 1.0
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, help="folder of the built programs, to build nothing")
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path.home() / ".cache" / "troika" / "bench" / "checkpoint")
    parser.add_argument("--steps", type=int, default=62)
    args = parser.parse_args()
    folder = (args.programs or results.build("--workspace", "--bins", "--examples")).resolve()
    shutil.rmtree(args.cache, ignore_errors=True)
    args.cache.mkdir(parents=True)
    subprocess.run([folder / "examples" / "tiny_world", args.cache], check=True)
    config = args.cache / "run.toml"
    config.write_text(CONFIG.format(out=args.cache / "run", data=args.cache, steps=args.steps))
    done = subprocess.run([folder / "train", config, "-q", "--json"], check=True, capture_output=True, text=True)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    started = next(record for record in records if record["type"] == "started")
    lines = {record["step"]: record for record in records if record["type"] == "train"}
    second = {step: 1 / line["steps_per_second"] for step, line in lines.items()}
    kept = [step for step in lines if step % 20 == 0 and step + 1 in lines]
    # A step's line is written before its checkpoint is taken, so the wait stands in the next one; the step after a checkpoint
    # also makes new tensors beside those that are being written.
    wait = [lines[step + 1]["checkpoint_stall"] for step in kept]
    after = [second[step + 1] for step in kept]
    usual = statistics.median(second[step] for step in lines if step > 2 and all(not 0 <= step - one <= 14 for one in kept))
    during = [second[step + more] for step in kept for more in (2, 3) if step + more in second]
    stall = max(w + max(0, a - usual) for w, a in zip(wait, after))
    size = sum(path.stat().st_size for path in next((args.cache / "run" / "checkpoints").iterdir()).iterdir())
    about = (f"{results.processor()}; program built with {results.profile('dev')}; {started['parameters'] / 1e6:.0f} million f32 weights with AdamW's moments, "
             f"{size / 2**30:.2f} GiB on disk, written while the next steps are made; {len(kept)} checkpoints. `python3 bench/checkpoint.py`.")
    columns = ["s a step", "s waited for the checkpoint", "s the step after it", "s a step while it is written", f"s of stall at most (asked {ASKED})", "GiB at most"]
    memory = max(line["memory"] for line in lines.values())
    table = [[f"{usual:.2f}", ", ".join(f"{one:.2f}" for one in wait), ", ".join(f"{one:.2f}" for one in after),
              f"{statistics.median(during):.2f}", f"{stall:.2f}", f"{memory / 2**30:.1f}"]]
    results.replace(TITLE, results.section(TITLE, about, columns, table))


if __name__ == "__main__":
    main()
