#!/usr/bin/env python3
"""Measures `pipeline crawl` against img2dataset, and against what is asked of it; writes sections of RESULTS.md.

    python3 bench/crawl.py prepare --photos DIR      # builds, installs img2dataset into the cache, cuts the pictures
    python3 bench/crawl.py rows a b c --photos DIR   # measures some rows, or all of them
    python3 bench/crawl.py rows e --quick            # small and once, prints and writes nothing

Needs nginx (apt-get install nginx-light) and, once, PyPI. See bench/README.md.
"""
import argparse
import os
import pathlib
import sys

import results
from crawling import hard, hosts, hostile, kills, lookups, memory, speed, tools
from crawling.job import Job

ROWS = {
    "a": speed.small,
    "b": speed.large,
    "c": speed.download_only,
    "d": memory.long_lists,
    "e": hostile.ends,
    "f": hosts.one_slow,
    "g": lookups.counted,
    "h": kills.resumed,
    "i": hard.accounted,
}
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "troika" / "bench"


def arguments():
    about = "rows:\n" + "\n".join(f"  {name}  {row.__doc__.strip()}" for name, row in ROWS.items())
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["prepare", "rows"])
    parser.add_argument("rows", nargs="*", metavar="ROW", help="a to i; none: all")
    parser.add_argument("--photos", default="-", metavar="DIR", help="a folder of photos; without it the pictures are 1/f noise")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each program [3]")
    parser.add_argument("--quick", action="store_true", help="small, one round, RESULTS.md stays as it is")
    parser.add_argument("--turbojpeg", action="store_true", help="a build with this feature too (needs cmake and nasm)")
    parser.add_argument("--programs", type=pathlib.Path, metavar="DIR", help="take `pipeline` and `picture_time` from here, do not build")
    parser.add_argument("--built", default="not said how", metavar="TEXT", help="how those programs were built")
    parser.add_argument("--cache", type=pathlib.Path, default=CACHE, metavar="DIR", help=f"[{CACHE}]")
    args = parser.parse_args()
    if unknown := [name for name in args.rows if name not in ROWS]:
        parser.error(f"no row {', '.join(unknown)}: there are {', '.join(ROWS)}")
    return args


def programs(args):
    """Our builds by the names that the tables use."""
    if args.programs:
        return {"pipeline": args.programs.resolve()}
    found = {"pipeline": tools.build("", args.cache)}
    if args.turbojpeg:
        found["pipeline + turbojpeg"] = tools.build("turbojpeg", args.cache)
    return found


def command(args):
    """The call as another machine would repeat it: with the folders' names left out."""
    folders = {str(args.photos): "PHOTOS", str(args.cache): "CACHE", str(args.programs): "PROGRAMS"}
    return " ".join(["python3 bench/crawl.py", *(folders.get(word, word) for word in sys.argv[1:])])


def main():
    args = arguments()
    args.cache.mkdir(parents=True, exist_ok=True)
    job = Job(
        cache=args.cache.resolve(),
        programs=programs(args),
        photos=args.photos if args.photos == "-" else str(pathlib.Path(args.photos).resolve()),
        rounds=1 if args.quick else args.rounds,
        quick=args.quick,
        command=command(args),
        profile=f"programs built with {args.built}" if args.programs else results.profile("release"),
    )
    tools.python(job.cache)
    if args.what == "prepare":
        return speed.prepare(job)
    failed = []
    for name in args.rows or ROWS:
        print(f"row {name}: {ROWS[name].__doc__.strip()}", flush=True)
        try:
            ROWS[name](job)
        except (tools.Refused, RuntimeError) as why:
            print(f"row {name} gave no result: {why}", file=sys.stderr)
            failed.append(name)
    return sys.exit(f"no result: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
