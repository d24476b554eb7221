#!/usr/bin/env python3
"""Measures the text tokenizers against their peers; writes sections of RESULTS.md.

    python3 bench/bpe.py train --texts DIR      # 60 MB, 16,384 entries, two cores
    python3 bench/bpe.py encode --texts DIR     # lines as long as captions, one thread

DIR is a folder with Russian and English `.txt` files. Needs PyPI and crates.io once, for the peers, which lie in the cache.
"""
import argparse
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import results
from crawling import measure

PEER = pathlib.Path(__file__).resolve().parent / "wording" / "peer.py"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "troika" / "bench"
# youtokentome has no wheel, and is built with what is installed before.
INSTALLS = [
    ["cython<3.1", "setuptools<81", "wheel", "click"],
    ["--no-build-isolation", "youtokentome==1.0.6"],
    ["tokenizers==0.23.3", "tiktoken==0.14.0", "rustbpe==0.1.0"],
]
ENTRIES = 16_384
TRAINING_BYTES = 60_000_000
# Characters of a caption.
SHORT, LONG = 20, 200
CAPTIONS = 100_000
ROUNDS = 3
# Ours and the peers that share a kind of model.
KINDS = {
    "model": ["youtokentome"], "json": ["tokenizers", "tiktoken", "tokie"],
    "tiktoken": ["bpe-openai", "tiktoken (crate)", "tiktoken-rs"],
}
# Peers that are crates; the others are packages of Python.
CRATES = ["tokie", *KINDS["tiktoken"]]
TRAINERS = {"model": ["youtokentome"], "json": ["tokenizers", "rustbpe"]}
NAMES = {"model": "characters, YouTokenToMe's format", "json": "bytes, GPT-2's pattern", "tiktoken": "bytes, cl100k_base"}


def programs(args):
    """The folder of the programs: given, or built."""
    if args.programs:
        return args.programs.resolve()
    return results.build("--package", "tokenize", "--bin", "tokenize", "--example", "bpe_encode", profile="release")


def crates(args):
    """The program around the peers that are crates."""
    target = args.cache / "wording"
    manifest = PEER.parent / "rust" / "Cargo.toml"
    subprocess.run(["cargo", "build", "--release", "--quiet", "--locked", "--manifest-path", manifest, "--target-dir", target], check=True)
    return target / "release" / "wording"


def about(args, text):
    built = f"programs built with {args.built}" if args.programs else results.profile("release")
    return f"{results.processor()}; {built}; {text}"


def files(args):
    """The text files, by path."""
    found = sorted(args.texts.rglob("*.txt"))
    if not found:
        sys.exit(f"{args.texts}: no .txt file in this folder")
    return found


def corpus(args, size, target):
    """Writes the same share of every file, whole lines, `size` bytes in all; returns how many bytes there are."""
    sources = files(args)
    share = min(1, size / sum(source.stat().st_size for source in sources))
    with open(target, "wb") as out:
        for source in sources:
            with open(source, "rb") as file:
                left = source.stat().st_size * share
                for line in file:
                    left -= len(line)
                    if left < 0:
                        break
                    out.write(line.rstrip(b"\r\n") + b"\n")
    return target.stat().st_size


def captions(args, count, target):
    """Writes lines that are as long as captions, all different, as many of every file as there are; returns texts and bytes."""
    lists, parts, seen = [], [], set()
    for source in files(args):
        lines = dict.fromkeys(line.strip() for line in source.read_text(encoding="utf-8", errors="ignore").splitlines())
        lists.append([line for line in lines if SHORT <= len(line) <= LONG and line not in seen])
        seen.update(lists[-1])
    chosen = []
    for left in range(len(lists), 0, -1):
        lists.sort(key=len)
        parts.append(spaced(lists.pop(0), (count - sum(map(len, parts))) // left))
    # A line of each file in turn: languages alternate, as captions of a crawl do.
    chosen = [line for lines in itertools.zip_longest(*parts) for line in lines if line]
    target.write_text("".join(f"{line}\n" for line in chosen), encoding="utf-8")
    return len(chosen), target.stat().st_size


def spaced(items, count):
    """At most `count` items, evenly from all of them."""
    return [items[number * len(items) // count] for number in range(count)] if count < len(items) else items


def said(command, folder):
    """A run, and the JSON object that it printed last."""
    done = measure.run(command, folder, limit=3600)
    if not done.ok:
        sys.exit(f"{' '.join(map(str, command))} failed: {done.said}")
    objects = [line for line in done.said.splitlines() if line.startswith("{")]
    return done, json.loads(objects[-1])


def our_training(program, texts, model):
    return [program, "bpe", texts, "--vocab-size", ENTRIES, "--keep-case", "--out", model, "--json"]


def train(args):
    """Wall and CPU seconds and peak memory of whole programs, in turn; ours must learn what the peer learns."""
    program, interpreter = programs(args) / "tokenize", results.python(args.cache / "venv-bpe", *INSTALLS)
    found, versions, equal = {}, {}, {}
    with tempfile.TemporaryDirectory(dir=args.cache) as folder:
        folder = pathlib.Path(folder)
        texts = folder / "texts.txt"
        size = corpus(args, TRAINING_BYTES // (20 if args.quick else 1), texts)
        for _ in range(1 if args.quick else ROUNDS):
            for kind, peers in TRAINERS.items():
                ours = folder / f"ours.{kind}"
                done, summary = said(our_training(program, texts, ours), folder)
                found.setdefault((kind, "`tokenize bpe`"), []).append(done)
                for peer in peers:
                    theirs = folder / f"{peer}.{kind}"
                    command = [interpreter, PEER, "train", peer, texts, theirs, "--vocab-size", ENTRIES]
                    done, told = said(command, folder)
                    found.setdefault((kind, peer), []).append(done)
                    versions[peer] = told["version"]
                    if theirs.exists():
                        _, equal[kind, peer] = said([interpreter, PEER, "compare", ours, theirs], folder)
    table = []
    for (kind, name), runs in found.items():
        same = equal.get((kind, name), {})
        learned = "the same model" if same.get("equal") else f"{same['common']:,} of {same['entries']:,} pieces" if same else ""
        table.append([
            NAMES[kind], f"{name} {versions.get(name, '')}".strip(), measure.spread(run.wall for run in runs),
            measure.spread(run.cpu for run in runs), f"{max(run.peak for run in runs) / 2**20:,.0f} MiB", learned,
        ])
    text = (f"{size / 1e6:.1f} MB, {summary['texts']:,} lines, {summary['words']:,} pieces of which {summary['distinct_words']:,} are different; the same "
            f"share of each file of TEXTS, {ENTRIES:,} entries, two threads, capitals kept; the programs in turn, the start of Python included "
            "(0.1 s). youtokentome takes equally frequent pairs as they lie in a hash table, and finds other pieces with another number of "
            "threads. `python3 bench/bpe.py train --texts TEXTS`.")
    columns = ["kind", "program", "seconds", "CPU seconds", "peak memory", "learned what ours learned"]
    write(args, "BPE: training", about(args, text), columns, table)


def encode(args):
    """Megabytes a second of the encoding alone, programs in turn; all ids must be equal."""
    home, interpreter = programs(args), results.python(args.cache / "venv-bpe", *INSTALLS)
    wording, found, versions = crates(args), {}, {}
    with tempfile.TemporaryDirectory(dir=args.cache) as folder:
        folder = pathlib.Path(folder)
        texts, training = folder / "captions.txt", folder / "texts.txt"
        count, size = captions(args, CAPTIONS // (20 if args.quick else 1), texts)
        corpus(args, TRAINING_BYTES // (20 if args.quick else 1), training)
        for kind in TRAINERS:
            said(our_training(home / "tokenize", training, folder / f"bpe.{kind}"), folder)
        said([wording, "ranks", folder / "bpe.tiktoken"], folder)
        for _ in range(1 if args.quick else 2 * ROUNDS):
            for kind, peers in KINDS.items():
                model, ids = folder / f"bpe.{kind}", folder / "ours.ids"
                ours = [home / "examples" / "bpe_encode", model, texts, ids]
                found.setdefault((kind, "ours"), []).append(said(ours, folder)[1]["seconds"])
                for peer in peers:
                    theirs = folder / f"{peer}.ids"
                    program = [wording] if peer in CRATES else [interpreter, PEER]
                    told = said([*program, "encode", peer, texts, model, theirs], folder)[1]
                    versions[peer] = told["version"]
                    found.setdefault((kind, peer), []).append(told["seconds"])
                    if theirs.read_bytes() != ids.read_bytes():
                        sys.exit(f"{peer} gives other ids than we do with bpe.{kind}")
    table = []
    for (kind, name), seconds in found.items():
        ratio = "" if name == "ours" else f"{median(seconds) / median(found[kind, 'ours']):.1f}"
        rate = measure.spread(size / 1e6 / one for one in seconds)
        table.append([NAMES[kind], f"{name} {versions.get(name, '')}".strip(), rate, ratio])
    text = (f"{count:,} different lines of {SHORT} to {LONG} characters, Russian and English, {size / 1e6:.1f} MB, a list of strings in memory to a "
            f"list of ids each; one thread, {ENTRIES:,} entries learned by `tokenize bpe` from the same texts, capitals kept, and OpenAI's "
            "cl100k_base; Python's packages are called with the whole list where they take one; the programs in turn, ids equal. `python3 bench/bpe.py encode --texts TEXTS`.")
    write(args, "BPE: encoding", about(args, text), ["kind", "program", "MB/s", "ours is faster by"], table)


def median(values):
    return sorted(values)[len(values) // 2]


def write(args, title, about, columns, table):
    text = results.section(title, about, columns, table)
    print(text)
    if not args.quick:
        results.replace(title, text)


ROWS = {"train": train, "encode": encode}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+", choices=list(ROWS))
    parser.add_argument("--texts", type=pathlib.Path, required=True, metavar="DIR", help="a folder of Russian and English .txt files")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the text, once; RESULTS.md stays as it is")
    parser.add_argument("--programs", type=pathlib.Path, metavar="DIR", help="take `tokenize` and `examples/bpe_encode` from here, do not build")
    parser.add_argument("--built", default="not said how", metavar="TEXT", help="how those programs were built")
    parser.add_argument("--cache", type=pathlib.Path, default=CACHE, metavar="DIR", help=f"[{CACHE}]")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    for row in args.rows:
        ROWS[row](args)


if __name__ == "__main__":
    main()
