#!/usr/bin/env python3
"""Writes the figures of an ImageGPT run: a section of RESULTS.md, the curve and the samples of configs/README.md.

    train configs/imagegpt.toml 2> runs/imagegpt.log
    python3 bench/imagegpt.py runs/imagegpt --log runs/imagegpt.log --tokens data/fashion/tokens

The losses come from the run's `metrics.jsonl`, the baselines from what it said before its first step, the accuracies
from `train probe`, which is run here.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

import results

TITLE = "ImageGPT on Fashion-MNIST"
PICTURES = results.ROOT / "configs" / "imagegpt"


def baselines(log):
    """What guessing reaches, by its words: `after the pixel before`."""
    found = re.findall(r"baseline, held out, nats per pixel: ([\d.]+) by how often (?:each colour|it) occurs ?([a-z ]*)", log)
    return {words.strip() or "by frequency": float(value) for value, words in found}


def probe(program, run, args):
    command = [program, "probe", run, "--tokens", args.tokens, "--train", "split=train", "--held-out", "split=test"]
    command += ["--rows", args.rows, "--held-out-rows", args.held_out_rows, "--json"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"train probe failed: {done.stderr}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [line for line in lines if line["type"] == "probe"]


def svg(lines, marks):
    """Losses by step as an SVG: lines by name, and marks as dashed lines."""
    width, height, left, below = 640, 300, 48, 28
    steps = max(step for points in lines.values() for step, _ in points)
    top = 1.05 * max([value for points in lines.values() for step, value in points if step > steps / 50] + [*marks.values()])
    low = 0.95 * min([value for points in lines.values() for _, value in points] + [*marks.values()])
    x = lambda step: left + (width - left - 12) * step / steps
    y = lambda value: 8 + (height - 8 - below) * (top - min(value, top)) / (top - low)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="white"/>']
    for i in range(5):
        value = low + (top - low) * i / 4
        parts.append(f'<path d="M{left} {y(value):.1f}H{width - 12}" stroke="#ddd"/><text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.2f}</text>')
        parts.append(f'<text x="{x(steps * i / 4):.1f}" y="{height - 8}" text-anchor="middle">{steps * i // 4}</text>')
    for row, (name, value) in enumerate(marks.items()):
        parts.append(f'<path d="M{left} {y(value):.1f}H{width - 12}" stroke="#888" stroke-dasharray="5 4"/><text x="{width - 14}" y="{y(value) - 4:.1f}" text-anchor="end" fill="#555">guessed {name}: {value:.3f}</text>')
    for row, ((name, points), colour) in enumerate(zip(lines.items(), ["#9bbce0", "#c0392b"])):
        path = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        parts.append(f'<text x="{width - 14}" y="{56 + 16 * row}" text-anchor="end" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--log", type=pathlib.Path, required=True, help="what the run said (stderr)")
    parser.add_argument("--tokens", type=pathlib.Path, required=True)
    parser.add_argument("--rows", type=int, default=0, help="pictures that the probe is fitted to; 0 takes all [0]")
    parser.add_argument("--held-out-rows", type=int, default=0, help="pictures that it is judged by [0]")
    parser.add_argument("--programs", type=pathlib.Path, metavar="DIR", help="take `train` from here, do not build")
    parser.add_argument("--conditions", default="", help="how the machine was used meanwhile")
    args = parser.parse_args()
    program = (args.programs or results.build("--package", "train", "--bin", "train", profile="release")) / "train"
    lines = [json.loads(line) for line in (args.run / "metrics.jsonl").read_text().splitlines()]
    config = tomllib.loads((args.run / "run.toml").read_text())
    guessed = baselines(args.log.read_text())
    train = [(line["step"], line["pixel"]) for line in lines if line["type"] == "train"]
    valid = [line for line in lines if line["type"] == "valid"]
    last = valid[-1]
    PICTURES.mkdir(exist_ok=True)
    curve = {"training": train, "held out": [(line["step"], line["pixel"]) for line in valid]}
    (PICTURES / "curve.svg").write_text(svg(curve, guessed))
    shutil.copy(sorted((args.run / "samples").glob("step-*.png"))[-1], PICTURES / "samples.png")
    accuracies = probe(program, args.run, args)
    best = max(accuracies, key=lambda line: line["held_out"])
    model, steps, batch = config["model"], last["step"], config["data"]["batch_size"]
    table = [
        ["held-out loss, nats per pixel", f"below the bigram's {guessed['after the pixel before']:.3f}", f"{last['pixel']:.3f} ({last['bits']:.3f} bits)"],
        ["guessing, nats per pixel", "", "; ".join(f"{words} {value:.3f}" for words, value in guessed.items())],
        ["next pixel told right", "", f"{100 * last['accuracy']:.1f} %"],
        ["training", "15 minutes", f"{last['seconds'] / 60:.1f} minutes, {steps} steps of {batch} pictures, {steps * batch} of 60,000 seen"],
        ["linear probe, best layer", "at least 80 %", f"{100 * best['held_out']:.2f} % (layer {best['layer']} of 0 to {model['layers']})"],
        *[[f"linear probe, layer {line['layer']}", "", f"{100 * line['held_out']:.2f} % (fitted: {100 * line['train']:.2f} %)"] for line in accuracies],
    ]
    shape = f"{model['layers']} layers, {model['dim']} wide, {model['heads']} heads, {model['colours']} greys, {model['grid']} x {model['grid']} pixels"
    probed = f"probe fitted to {args.rows or 60000} pictures and judged by {args.held_out_rows or 10000}"
    about = f"{results.processor()}; {shape}; held-out loss over {config['data']['held_out_rows'] or 10000} of 10,000 pictures; {probed}. One run{args.conditions and '; ' + args.conditions}. `python3 bench/imagegpt.py`."
    section = results.section(TITLE, about, ["what", "asked", "measured"], table)
    print(section)
    results.replace(TITLE, section)


if __name__ == "__main__":
    main()
