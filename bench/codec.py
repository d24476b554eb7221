#!/usr/bin/env python3
"""Measures a VQGAN of taming's shape, f8 with 8,192 codes, against PyTorch; writes sections of RESULTS.md.

    python3 bench/codec.py speed     # pictures per second, both programs in turn; equal codes
    python3 bench/codec.py where     # where our time goes (needs Linux's perf)

Needs PyPI once, for a virtual environment with torch in the cache, and a C++ compiler for torch.compile.
"""
import argparse
import array
import collections
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

import results
from crawling import measure

HERE = pathlib.Path(__file__).resolve().parent / "coding"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "troika" / "bench"
LIBRARIES = ["torch==2.15.0", "safetensors==0.8.0", "numpy==2.4.6"]
SIDE, ASKED = 128, 0.8
# Esser et al. 2021, table 7, with the attention at the lowest level of 128 pixels.
CONFIG = {
    "ch": 128, "ch_mult": [1, 1, 2, 4], "num_res_blocks": 2, "attn_resolutions": [16], "resolution": SIDE,
    "z_channels": 256, "embed_dim": 256, "n_embed": 8192, "groups": 32, "quantizer": "vq",
}
OURS = "tokenize"
# The ways to run PyTorch, the one that counts is the fastest.
WAYS = {"PyTorch": "eager", "PyTorch, channels_last": "channels_last", "PyTorch, torch.compile, channels_last": "compile"}
# Which function of our program stands for what; the first that fits counts.
PARTS = [
    ("3×3 convolution: products", r"multiply.*Winograd|product.*Winograd"),
    ("3×3 convolution: transforms and output", r"Winograd"),
    ("3×3 convolution of few channels", r"conv3x3"),
    ("halving convolution", r"Halving"),
    ("1×1 convolution", r"Pointwise"),
    ("group norm and swish", r"group_norm"),
    ("nearest code", r"nearest"),
    ("other matrix products (attention)", r"gemm|matmul"),
    ("softmax", r"softmax"),
    ("doubling", r"upsample"),
    ("copies, sums, element by element", r"burn|memcpy|memmove|memset|tokenize"),
    ("fresh memory", r"clear_page|page_fault|\[k\]|alloc|free"),
]


def files(args, program):
    """Configuration, random weights and pictures, made once."""
    home = args.cache / "codec"
    home.mkdir(parents=True, exist_ok=True)
    config, weights, pixels = home / "codec.json", home / "codec.safetensors", home / "pixels.f32"
    said = json.dumps(CONFIG)
    if not (weights.exists() and config.exists() and config.read_text() == said):
        config.write_text(said)
        subprocess.run([program, "weights", config, weights], check=True)
    if not pixels.exists():
        pixels.write_bytes(pictures(16).tobytes())
    return config, weights, pixels


def pictures(count):
    """Pictures of rectangles of one colour each, the same every time."""
    chance, values = random.Random(0), array.array("f")
    for _ in range(count):
        boxes = [(chance.randrange(SIDE), chance.randrange(SIDE), chance.randrange(8, SIDE), [chance.uniform(-1, 1) for _ in range(3)])
                 for _ in range(12)]
        plane = [[[chance.uniform(-0.1, 0.1)] * SIDE for _ in range(SIDE)] for _ in range(3)]
        for left, top, size, colour in boxes:
            for rows, value in zip(plane, colour):
                for row in rows[top : top + size]:
                    end = min(SIDE, left + size)
                    row[left:end] = [value] * (end - left)
        for rows in plane:
            for row in rows:
                values.extend(value + chance.uniform(-0.05, 0.05) for value in row)
    return values


def program(args):
    """The example: given, or built."""
    folder = args.programs or results.build("--package", "tokenize", "--example", "codec_speed", profile="release") / "examples"
    return folder.resolve() / "codec_speed"


def about(args, text):
    built = f"program built with {args.built}" if args.programs else results.profile("release")
    return f"{results.processor()}; {built}; {text}"


def ours(args, ready, batch, rounds, codes):
    """The command of our program with its environment."""
    command = [args.program, "speed", *ready, SIDE, batch, rounds, codes]
    return list(map(str, command)), {**os.environ, "RAYON_NUM_THREADS": str(args.threads)}


def peer(args, ready, batch, rounds, codes, way):
    command = [args.interpreter, HERE / "peer.py", *ready, "--side", SIDE, "--batch", batch, "--rounds", rounds]
    command += ["--threads", args.threads, "--way", way, "--codes", codes]
    return list(map(str, command)), dict(os.environ)


def speed(args):
    """Pictures per second of both programs in turn; one set of weights must give equal codes."""
    args.program, args.interpreter = program(args), args.python or results.python(args.cache / "venv-codec", LIBRARIES)
    ready, home = files(args, args.program), args.cache / "codec"
    repeats, rounds = (1, 1) if args.quick else (2, 3)
    table, codes, version = [], {}, None
    for batch in args.batches:
        found = collections.defaultdict(list)
        for _ in range(repeats):
            for name, way in [(OURS, None), *WAYS.items()]:
                out = home / "codes.u16"
                make = ours if way is None else peer
                command, env = make(args, ready, batch, rounds, out, *([] if way is None else [way]))
                done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                if done.returncode != 0:
                    if way != "compile":
                        sys.exit(f"{name} failed: {done.stderr[-2000:]}")
                    print("torch.compile does not work here:", done.stderr[-300:], file=sys.stderr)
                    continue
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
                codes[batch, name] = array.array("H", out.read_bytes())
                version = found[name][-1].get("torch", version)
        for what in ["encode", "decode"]:
            rates = {name: [rate for run in runs for rate in run[what]["per_second"]] for name, runs in found.items()}
            middle = {name: sorted(values)[len(values) // 2] for name, values in rates.items()}
            best = max(value for name, value in middle.items() if name != OURS)
            for name, runs in found.items():
                cpu = [value for run in runs for value in run[what]["cpu"]]
                same = equal(codes[batch, OURS], codes[batch, name]) if what == "encode" and name != OURS else ""
                ratio = f"{middle[OURS] / best:.2f}" if name == OURS else f"{middle[name] / best:.2f}"
                table.append([what, f"{batch}", name, measure.spread(rates[name], "{:.2f}"), measure.spread(cpu, "{:.2f}"), ratio, same])
    table.append(["encode, decode", "", "one NVIDIA H200, bf16", "not measured", "", "", ""])
    columns = ["what", "batch", "program", "pictures/s", "CPU s per picture", f"of the fastest PyTorch (asked {ASKED})", "equal codes"]
    text = (f"taming's f8 (ch 128, z 256, 8,192 codes) at {SIDE} × {SIDE}, f32, {args.threads} threads each; torch {version}; the programs in turn, "
            "random weights from one file; pictures in memory to codes, codes to pictures. `python3 bench/codec.py speed`.")
    write(args, "Codec: speed", about(args, text), columns, table)


def equal(ours, theirs):
    same = sum(a == b for a, b in zip(ours, theirs, strict=True))
    return f"{same:,} of {len(ours):,}"


def where(args):
    """The share of each kind of work, by samples of the processor."""
    if shutil.which("perf") is None:
        sys.exit("perf is missing (Debian: apt-get install linux-perf)")
    args.program = program(args)
    ready, home = files(args, args.program), args.cache / "codec"
    command, env = ours(args, ready, 16, 1 if args.quick else 4, home / "codes.u16")
    data = home / "perf.data"
    subprocess.run(["perf", "record", "-q", "-F", "499", "-o", data, *command], env=env, check=True, stdout=subprocess.DEVNULL)
    report = ["perf", "report", "-i", data, "--stdio", "--no-children", "-F", "overhead,sym", "--percent-limit", "0"]
    told = subprocess.run(report, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    shares, rest = collections.Counter(), []
    for share, symbol in re.findall(r"^\s*([\d.]+)%\s+(.*?)\s*$", told, re.MULTILINE):
        part = next((name for name, pattern in PARTS if re.search(pattern, symbol)), "everything else")
        shares[part] += float(share)
        rest += [symbol] if part == "everything else" and float(share) > 0.3 else []
    table = [[part, f"{share:.1f} %"] for part, share in shares.most_common()]
    text = "encoding and decoding 16 pictures at a time, samples of perf by function. `python3 bench/codec.py where`."
    write(args, "Codec: where the time goes", about(args, text), ["work", "share"], table)
    print("named nowhere:", *rest, sep="\n  ")


def write(args, title, about, columns, table):
    text = results.section(title, about, columns, table)
    print(text)
    if not args.quick:
        results.replace(title, text)


ROWS = {"speed": speed, "where": where}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+", choices=list(ROWS))
    parser.add_argument("--batches", nargs="+", type=int, default=[16, 4, 1], metavar="N", help="pictures at a time, 16 at most")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), metavar="N", help="of either program")
    parser.add_argument("--quick", action="store_true", help="once each; RESULTS.md stays as it is")
    parser.add_argument("--programs", type=pathlib.Path, metavar="DIR", help="take `codec_speed` from here, do not build")
    parser.add_argument("--built", default="not said how", metavar="TEXT", help="how that program was built")
    parser.add_argument("--python", type=pathlib.Path, metavar="FILE", help="a Python that has torch and safetensors; do not install them")
    parser.add_argument("--cache", type=pathlib.Path, default=CACHE, metavar="DIR", help=f"[{CACHE}]")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    for row in args.rows:
        ROWS[row](args)


if __name__ == "__main__":
    main()
