#!/usr/bin/env python3
"""Kills a run at random instants, resumes it each time, and compares it with one that was left alone; writes a section of RESULTS.md.

    python3 bench/resume.py [--seed N]

The model is small, so that checkpoints, logs, validations and samples are written all the time: what a kill can hit.
"""
import argparse
import hashlib
import json
import pathlib
import random
import shutil
import signal
import subprocess
import time

import results

TITLE = "Killed and resumed against never stopped"
CONFIG = """kind = "rudolph"
[run]
steps = {steps}
log_every = 3
validate_every = 20
sample_every = 50
checkpoint_every = 7
keep = 3
keep_every = 100
[data]
tokens = "{data}/tokens"
codec = "{data}/codec.safetensors"
bpe = "{data}/bpe.json"
holdout = 8
batch_size = 4
buffer_rows = 64
[model]
layers = 2
dim = 32
heads = 2
left = 8
grid = 4
right = 8
kernel = 3
last_kernel = 3
text_vocab = 40
text_special = 6
image_vocab = 16
image_special = 0
dropout = 0.1
[optim]
kind = "adamw"
[optim.muon]
[average]
decay = 0.99
[schedule]
lr = 0.003
warmup = 2
[samples]
columns = 2
"""
TIMED = {"seconds", "steps_per_second", "tokens_per_second", "stall", "checkpoint_stall", "mfu", "memory"}


def digest(folder):
    """sha256 of every file of a finished model, and of the metrics without times."""
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((folder / "model").iterdir())}
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    bare = [{key: value for key, value in line.items() if key not in TIMED} for line in lines]
    found["metrics"] = hashlib.sha256(json.dumps(bare).encode()).hexdigest()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, help="folder of the built programs, to build nothing")
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path.home() / ".cache" / "troika" / "bench" / "resume")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    args = parser.parse_args()
    folder = (args.programs or results.build("--workspace", "--bins", "--examples")).resolve()
    shutil.rmtree(args.cache, ignore_errors=True)
    args.cache.mkdir(parents=True)
    subprocess.run([folder / "examples" / "tiny_world", args.cache], check=True)
    config = args.cache / "run.toml"
    config.write_text(CONFIG.format(steps=args.steps, data=args.cache))
    command = lambda out: [folder / "train", config, "-q", "--set", f"run.out={args.cache / out}"]
    began = time.monotonic()
    subprocess.run(command("straight"), check=True)
    whole = time.monotonic() - began
    draw, kills, during = random.Random(args.seed), 0, []
    while kills < args.kills:
        child = subprocess.Popen(command("killed"))
        # Each life gets on by a part of the run that leaves enough for the kills to come.
        wait = draw.uniform(0.05, 2 * whole / (args.kills + 1))
        try:
            child.wait(wait)
            break
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            kills += 1
            hidden = [path.name for path in (args.cache / "killed").rglob(".*.tmp")] if (args.cache / "killed").exists() else []
            during.append(bool(hidden))
    subprocess.run(command("killed"), check=True)
    straight, killed = digest(args.cache / "straight"), digest(args.cache / "killed")
    equal = [name for name in straight if straight[name] == killed.get(name)]
    left = [path.name for path in (args.cache / "killed").rglob(".*.tmp")]
    about = (f"{results.processor()}; program built with {results.profile('dev')}; a RuDOLPH of 2 layers with dropout, Muon, a running mean, windows of 64 rows; "
             f"{args.steps} steps, a checkpoint every 7; seed {args.seed}. `python3 bench/resume.py --seed {args.seed}`.")
    columns = ["kills (SIGKILL)", "of them while a file was being written", "files of the model that are equal by sha256", "metrics.jsonl without times", "half-written files left"]
    table = [[str(kills), str(sum(during)), f"{len(equal) - ('metrics' in equal)} of {len(straight) - 1}", "equal" if "metrics" in equal else "DIFFERENT", str(len(left))]]
    results.replace(TITLE, results.section(TITLE, about, columns, table))
    assert equal == list(straight), f"different: {set(straight) - set(equal)}"


if __name__ == "__main__":
    main()
