#!/usr/bin/env python3
"""Measures `pipeline dedup` and its index against what is asked of them; writes sections of RESULTS.md.

    python3 bench/dedup.py hashes                 # ten million hashes: seconds, memory, recall
    python3 bench/dedup.py photos --photos DIR    # copies of photos: recall by kind of copy, precision
    python3 bench/dedup.py parity --photos DIR    # hashes of real files against Python's imagehash

Needs PyPI once, for a virtual environment with imagehash and pyarrow in the cache.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import results
from crawling import measure

HERE = pathlib.Path(__file__).resolve().parent / "deduping"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "troika" / "bench"
# Bits of a hash depend on all of them.
LIBRARIES = ["imagehash==4.3.2", "pillow==13.0.0", "scipy==1.17.1", "numpy==2.4.6"]
# Distances whose recall and precision are shown: hashes have as many ones as zeros, so that nearly all distances are even.
DISTANCES = [0, 2, 4, 6, 8]
DEFAULT = 6


def python(cache):
    """The Python of a virtual environment that has imagehash, Pillow and pyarrow; made on the first call."""
    return results.python(cache / "venv-dedup", [*LIBRARIES, "pyarrow"])


def said(program, *arguments):
    """The JSON object that a program prints last."""
    command = [str(part) for part in (program, *arguments)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def programs(args, *what):
    """The folder of the programs: given, or built."""
    if args.programs:
        return args.programs.resolve()
    return results.build("--package", "pipeline", *what, profile="release")


def about(args, text):
    built = f"programs built with {args.built}" if args.programs else results.profile("release")
    return f"{results.processor()}; {built}; {text}"


def hashes(args):
    """Ten million hashes grouped, by the index alone and by the whole program, and all pairs of 100,000 found."""
    home = programs(args, "--bin", "pipeline", "--example", "near_duplicates")
    program = home / "examples" / "near_duplicates"
    count = 1_000_000 if args.quick else 10_000_000
    table = []
    for distance in [4, 6, 8]:
        with tempfile.TemporaryDirectory() as folder:
            done = measure.run([program, count, distance], pathlib.Path(folder), limit=3600)
        if not done.ok:
            sys.exit(f"{program} failed: {done.said}")
        found = json.loads(done.said.splitlines()[0])
        table += costs(f"{found['hashes']:,} hashes, d ≤ {distance}", distance, found["seconds"], done.peak)
    table += whole(args, home / "pipeline", count)
    for distance in [4, 8]:
        found = said(program, 100_000, distance, "check")
        recall = "1" if found["equal"] else "pairs are missing or invented"
        table.append([f"{found['hashes']:,} hashes, d ≤ {distance}: recall of {found['pairs']:,} pairs", "1", recall])
    text = ("one fifth of the hashes are others with up to 6 bits changed; the index: grouping hashes that are in memory; the program: from "
            "a Parquet table of keys and hashes to the table of decisions and the kept rows. `python3 bench/dedup.py hashes`.")
    write(args, "Dedup: near hashes", about(args, text), table)


def costs(what, distance, seconds, peak):
    """Two rows: the time, and the memory at its peak."""
    asked = ("less than 60 s", "less than 1,024 MiB") if distance == 4 else ("", "")
    return [
        [f"{what}: time", asked[0], f"{seconds:.1f} s"],
        [f"{what}: peak memory", asked[1], f"{peak / 2**20:,.0f} MiB"],
    ]


def whole(args, program, count):
    """The whole program over a table of hashes."""
    with tempfile.TemporaryDirectory(dir=args.cache) as folder:
        folder = pathlib.Path(folder)
        subprocess.run([python(args.cache), HERE / "table.py", str(count), folder / "hashes"], check=True)
        dedup = [program, "dedup", folder / "hashes", "--out", folder / "out", "--stages", "near", "--distance", 4, "-q"]
        done = measure.run(dedup, folder, limit=3600)
        if not done.ok:
            sys.exit(f"{program} failed: {done.said}")
    return costs(f"`pipeline dedup`, {count:,} rows, d ≤ 4", 4, done.wall, done.peak)


def photos(args):
    """Copies of photos, crawled to 256 pixels and deduplicated at several distances: each kind with the originals, and all together."""
    program, interpreter = programs(args, "--bin", "pipeline") / "pipeline", python(args.cache)
    kinds = json.loads(subprocess.run(
        [interpreter, "-c", "import copies, json; print(json.dumps([list(copies.ASKED), list(copies.OTHERS)]))"],
        check=True, stdout=subprocess.PIPE, text=True, cwd=HERE).stdout)
    with tempfile.TemporaryDirectory(dir=args.cache) as folder:
        folder = pathlib.Path(folder)
        subprocess.run([interpreter, HERE / "copies.py", args.photos, folder / "copies"], check=True)

        def crawled(name, kinds):
            inputs = [folder / "copies" / kind for kind in ["original", *kinds]]
            subprocess.run([program, "crawl", *inputs, "--out", folder / name, "--columns", "source_key", "-q"], check=True)
            return folder / name

        def judged(pairs, link):
            for distance in DISTANCES:
                dedup = [program, "dedup", pairs, "--out", folder / "out", "--stages", "near", "--fresh", "-q"]
                subprocess.run([*map(str, dedup), "--distance", str(distance), "--link", link], check=True)
                yield said(interpreter, HERE / "judge.py", pairs, folder / "out", HERE / "same.txt")

        table = []
        for asked, group in zip(["0.95", ""], kinds):
            for kind in group:
                found = judged(crawled(kind, [kind]), "representative")
                table.append([f"recall: {kind}", asked, *(f"{one['recall'][kind]:.3f}" for one in found)])
        everything = crawled("everything", sum(kinds, []))
        for link in ["representative", "single"]:
            found = list(judged(everything, link))
            recalls = [[one["recall"][kind] for kind in kinds[0]] for one in found]
            table.append([f"all copies together, link = {link}: recall", "", *(f"{sum(one) / len(one):.3f}" for one in recalls)])
            asked = "0.99" if link == "representative" else ""
            table.append([f"all copies together, link = {link}: precision", asked, *(f"{one['precision']:.4f}" for one in found)])
    one = found[DISTANCES.index(DEFAULT)]
    text = (f"{one['photos']} photos of 1,024 pixels, crawled like their copies to 256 × 256 with a border; recall: the copy is in the cluster of its "
            "original, by kind: where there are no other copies, all together: of the kinds that are asked for; precision: the kept picture "
            f"shows the same as the dropped one. Asked at the default distance of {DEFAULT}. `python3 bench/dedup.py photos --photos PHOTOS`.")
    write(args, "Dedup: copies of photos", about(args, text), table, [f"d ≤ {distance}" for distance in DISTANCES])
    for wrong in one["wrong"]:
        print("wrong:", *wrong)


def parity(args):
    """Hashes of files as they are, against imagehash."""
    program, interpreter = programs(args, "--bin", "pipeline") / "pipeline", python(args.cache)
    with tempfile.TemporaryDirectory(dir=args.cache) as folder:
        folder = pathlib.Path(folder)
        crawl = [program, "crawl", args.photos, "--out", folder / "pairs", "--columns", "source_key", "-q"]
        subprocess.run([*crawl, "--disable-all-reencoding"], check=True)
        subprocess.run([program, "dedup", folder / "pairs", "--out", folder / "out", "--stages", "near", "-q"], check=True)
        found = said(interpreter, HERE / "parity.py", folder / "pairs", folder / "out")
    table = [[f"{name}: equal hashes", "", f"{equal} of {count}"] for name, (equal, count) in sorted(found["equal"].items())]
    table += [[f"{name}: bits that differ", "", bits] for name, bits in sorted(found["bits"].items())]
    text = f"{found['versions']}; files as they are, decoded by each program's own decoder. `python3 bench/dedup.py parity --photos PHOTOS`."
    write(args, "Dedup: hashes against imagehash", about(args, text), table)


def write(args, title, about, table, columns=("measured",)):
    text = results.section(title, about, ["what", "asked", *columns], table)
    print(text)
    if not args.quick:
        results.replace(title, text)


ROWS = {"hashes": hashes, "photos": photos, "parity": parity}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+", choices=list(ROWS))
    parser.add_argument("--photos", metavar="DIR", help="a folder of photos")
    parser.add_argument("--quick", action="store_true", help="a tenth of the hashes; RESULTS.md stays as it is")
    parser.add_argument("--programs", type=pathlib.Path, metavar="DIR", help="take `pipeline` and `examples/near_duplicates` from here, do not build")
    parser.add_argument("--built", default="not said how", metavar="TEXT", help="how those programs were built")
    parser.add_argument("--cache", type=pathlib.Path, default=CACHE, metavar="DIR", help=f"[{CACHE}]")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    if args.photos is None and set(args.rows) - {"hashes"}:
        parser.error("--photos is needed")
    for row in args.rows:
        ROWS[row](args)


if __name__ == "__main__":
    main()
