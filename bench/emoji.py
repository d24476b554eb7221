#!/usr/bin/env python3
"""Trains DALL-E and RuDOLPH on the demo's emoji for a quarter of an hour each, and lets them complete held-out pictures.

    cargo demo                                  # once: pairs, vocabulary and token shards
    python3 bench/emoji.py [--demo demo-out] [--steps 2700] [--keep]

Builds first. Both configurations of configs/demo are trained one after the other, with nothing else running. Then the example
`completion` gives each model the upper half of every picture of the test split, with its English caption and without, and compares
what it draws below with the original, pixel by pixel; the mean image of the training pictures is what guessing reaches. The drawings lie in
DEMO/emoji-*.png. `--keep` measures runs that are there already. The section of this script in RESULTS.md is replaced.
"""
import argparse
import json
import pathlib
import subprocess

import results


def train(programs, demo, name, steps, keep):
    """The folder of a run."""
    out = demo / f"emoji-{name}"
    words = next(demo.glob("bpe.*"))
    # As in dalle.toml: the demo's rudolph.toml is for drawing from captions alone.
    trust = "tasks.text_to_image.distraction.most=0.5"
    sets = [trust, f"run.out={out}", f"run.steps={steps}", f"data.tokens={demo / 'tokens'}", f"data.bpe={words}"]
    command = [programs / "train", results.ROOT / "configs" / "demo" / f"{name}.toml"]
    if not (keep and (out / "model").is_dir()):
        flags = [flag for value in sets for flag in ("--set", value)]
        subprocess.run([*command, "--fresh", *flags], cwd=results.ROOT, check=True)
    return out


def lines(run, kind):
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record for record in records if record["type"] == kind]


def complete(programs, demo, run):
    picture = demo / f"{run.name}.png"
    command = [programs / "examples" / "completion", run, demo / "pairs", picture]
    return json.loads(subprocess.run(command, cwd=results.ROOT, check=True, capture_output=True).stdout)


def rows(runs):
    for name, run, found in runs:
        last, valid = lines(run, "train")[-1], lines(run, "valid")[-1]
        yield name, "training", f"{last['step']} steps, {last['seconds'] / 60:.1f} min"
        yield name, "held-out image loss", f"{valid['image']:.3f} nats per code"
        yield name, "mean image of the training set", f"{found['mean_image']:.4f}"
        for given, words in [("no_caption", "upper half given"), ("caption", "upper half and caption given")]:
            for key, what in [("greedy", "likeliest codes"), ("sampled", "one drawing"), ("mean_of_8", "mean of eight drawings")]:
                error = found[given][key]
                yield name, f"{words}: {what}", f"{error:.4f} ({error / found['mean_image']:.2f} ×)"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=pathlib.Path, default=pathlib.Path("demo-out"))
    parser.add_argument("--steps", type=int, default=2700)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--conditions", default="nothing else ran", help="how the machine was used meanwhile")
    parser.add_argument("--programs", type=pathlib.Path, help="folder of programs that are built already")
    args = parser.parse_args()
    demo = args.demo.resolve()
    programs = args.programs or results.build("--package", "train", "--bin", "train", "--example", "completion")
    runs = []
    for name, title in [("dalle", "DALL·E"), ("rudolph", "RuDOLPH")]:
        run = train(programs, demo, name, args.steps, args.keep)
        runs.append((title, run, complete(programs, demo, run)))
    found = runs[0][2]
    about = (f"{results.processor()}; {results.profile('dev')}; configs/demo/dalle.toml and rudolph.toml, {found['train']} training "
             f"pictures with two captions each; {found['held_out']} held-out pictures: mean "
             f"squared error of the lower half against the original, colours in 0..1; distraction of at most half; {args.conditions}. "
             f"One run each; `python3 bench/emoji.py`.")
    results.replace("Emoji: DALL·E and RuDOLPH", results.section("Emoji: DALL·E and RuDOLPH", about, ["model", "what", "measured"], rows(runs)))


if __name__ == "__main__":
    main()
