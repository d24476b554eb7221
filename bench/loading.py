#!/usr/bin/env python3
"""Measures how a checkpoint of 1.3 billion fp16 numbers is loaded, against PyTorch; writes a section of RESULTS.md.

    python3 bench/loading.py                # 2.7 GB of disk and 8 GB of memory; a few minutes

The file is made once, of random numbers in the published layout. Needs PyPI once, for a virtual environment with torch.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

import results

HERE = pathlib.Path(__file__).resolve().parent / "checkpoints"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "troika" / "bench"
LIBRARIES = ["torch==2.15.0", "numpy==2.4.6"]
TITLE = "Loading: a checkpoint of 1.3 billion numbers"
PRESET, F32 = "rudalle-malevich-v3", 1_310_400_000 * 4


def run(command):
    """Seconds of loading as the program tells them, its sum, and its peak memory in bytes."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    told = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command} failed")
    told = json.loads(told)
    return told["seconds"], told["sum"], usage.ru_maxrss * 1024


def table(sides, rounds):
    """Rows of the table: the sides in turn, as often as asked."""
    found = {name: [] for name in sides}
    for _ in range(rounds):
        for name, command in sides.items():
            found[name].append(run(command))
    sums = {round(total, 2) for runs in found.values() for _, total, _ in runs}
    if max(sums) - min(sums) > 0.02:
        sys.exit(f"the programs loaded different numbers: {sums}")
    for name, runs in found.items():
        seconds = [run[0] for run in runs]
        peak = max(run[2] for run in runs)
        yield [name, f"{statistics.median(seconds):.1f} s", f"{min(seconds):.1f} to {max(seconds):.1f} s",
               f"{peak / 1e9:.2f} GB", f"{peak / F32:.2f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=pathlib.Path, default=CACHE, help="where the file and the environment are kept")
    parser.add_argument("--program", type=pathlib.Path, help="the example load_model, if it is built already")
    parser.add_argument("--python", type=pathlib.Path, help="a Python with torch, in place of a new environment")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    program = args.program or results.build("--package", "train", "--example", "load_model") / "examples" / "load_model"
    python = args.python or results.python(args.cache / "venv-torch", LIBRARIES)
    torch = subprocess.run([python, "-c", "import torch; print(torch.__version__)"], check=True, capture_output=True, text=True).stdout.strip()
    path = args.cache / "loading" / "pytorch_model_v3.bin"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".half")
        subprocess.run([python, HERE / "make.py", half], check=True)
        half.rename(path)
    # A warm disk: the file is in memory before anything is measured.
    subprocess.run(["cat", path], check=True, stdout=subprocess.DEVNULL)
    sides = {
        "train": [program, PRESET, path],
        "torch.load, load_state_dict": [python, HERE / "load.py", path],
        "the same with mmap=True": [python, HERE / "load.py", path, "mmap"],
    }
    about = (
        f"{results.processor()}, {results.profile('dev')}, torch {torch}, {args.rounds} runs of each, in turn. `python3 bench/loading.py`.\n\n"
        f"ruDALL-E Malevich's layout, {path.stat().st_size / 1e9:.2f} GB of random fp16 numbers in a zip of torch.save, read from a warm disk "
        f"into f32 ({F32 / 1e9:.2f} GB). Asked: at most 1.25 times the f32 size, at most 30 s. Seconds are those of loading, "
        "without the start of the program; peak memory is that of the whole program."
    )
    header = ["program", "median", "range", "peak memory", "times f32"]
    text = results.section(TITLE, about, header, table(sides, args.rounds))
    print(text)
    results.replace(TITLE, text)


if __name__ == "__main__":
    main()
