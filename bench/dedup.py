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
IMAGEHASH = "4.3.2"
# Distances whose recall and precision are shown.
DISTANCES = [0, 2, 4, 6, 8]


def python(cache):
    """The Python of a virtual environment that has imagehash, Pillow and pyarrow; made on the first call."""
    home = cache / "venv-dedup"
    program = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        wanted = [f"imagehash=={IMAGEHASH}", "pyarrow"]
        subprocess.run([program, "-m", "pip", "install", "--quiet", *wanted], check=True)
        (home / "ready").write_text("\n".join(wanted) + "\n")
    return program


def said(program, *arguments):
    """The JSON object that a program prints last."""
    command = [str(part) for part in (program, *arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def programs(args, *what):
    """The folder of the programs: given, or built."""
    if args.programs:
        return args.programs.resolve()
    return results.build("--package", "pipeline", *what, profile="release")


def about(args, text):
    built = f"programs built with {args.built}" if args.programs else results.profile("release")
    return f"{results.processor()}; {built}; {text}"


def hashes(args):
    """Ten million hashes grouped, and all pairs of 100,000 found."""
    program = programs(args, "--example", "near_duplicates") / "examples" / "near_duplicates"
    table = []
    for distance in [4, 8] if args.quick else [4, 6, 8]:
        count = 1_000_000 if args.quick else 10_000_000
        with tempfile.TemporaryDirectory() as folder:
            done = measure.run([program, count, distance], pathlib.Path(folder), limit=3600)
        if not done.ok:
            sys.exit(f"{program} failed: {done.said}")
        found = json.loads(done.said.splitlines()[0])
        asked = ("less than 60 s", "less than 1,024 MiB") if distance == 4 else ("", "")
        table.append([f"{found['hashes']:,} hashes, d ≤ {distance}: time", asked[0], f"{found['seconds']:.1f} s"])
        table.append([f"{found['hashes']:,} hashes, d ≤ {distance}: peak memory", asked[1], f"{done.peak / 2**20:,.0f} MiB"])
    for distance in [4, 8]:
        found = said(program, 100_000, distance, "check")
        recall = 1 if found["equal"] else "pairs are missing or invented"
        table.append([f"{found['hashes']:,} hashes, d ≤ {distance}: recall of {found['pairs']:,} pairs", "1", f"{recall}"])
    text = "one fifth of the hashes are others with up to 6 bits changed; time without making them. `python3 bench/dedup.py hashes`."
    write(args, "Dedup: near hashes", about(args, text), table)


def photos(args):
    """Copies of photos, crawled to 256 pixels and deduplicated at several distances."""
    program, interpreter = programs(args, "--bin", "pipeline") / "pipeline", python(args.cache)
    table, judged = [], {}
    with tempfile.TemporaryDirectory(dir=args.cache) as folder:
        folder = pathlib.Path(folder)
        subprocess.run([interpreter, HERE / "copies.py", args.photos, folder / "copies"], check=True)
        crawl = [program, "crawl", folder / "copies", "--out", folder / "pairs", "--columns", "source_key", "-q"]
        subprocess.run(crawl, check=True)
        for link in ["representative", "single"]:
            for distance in DISTANCES:
                dedup = [program, "dedup", folder / "pairs", "--out", folder / "out", "--stages", "near", "--fresh", "-q"]
                subprocess.run([*map(str, dedup), "--distance", str(distance), "--link", link], check=True)
                judged[link, distance] = said(interpreter, HERE / "judge.py", folder / "pairs", folder / "out", HERE / "same.txt")
    copies = json.loads(subprocess.run(
        [interpreter, "-c", "import copies, json; print(json.dumps(list(copies.ASKED)))"],
        check=True, capture_output=True, text=True, cwd=HERE).stdout)
    best = judged["representative", 4]
    for kind in sorted(best["recall"], key=lambda kind: (kind not in copies, kind)):
        shown = [f"{judged['representative', distance]['recall'][kind]:.3f}" for distance in DISTANCES]
        table.append([f"recall: {kind}", "0.95" if kind in copies else "", *shown])
    for link in ["representative", "single"]:
        shown = [f"{judged[link, distance]['precision']:.4f}" for distance in DISTANCES]
        table.append([f"precision, link = {link}", "0.99" if link == "representative" else "", *shown])
    text = (f"{best['photos']} photos of 1,024 pixels with {best['copies'] - best['photos']:,} copies, crawled to 256 × 256 with a border; "
            "recall: the copy is in the cluster of its original; precision: the kept picture shows the same as the dropped one. "
            "Asked at the default distance of 4. `python3 bench/dedup.py photos --photos PHOTOS`.")
    write(args, "Dedup: copies of photos", about(args, text), table, [f"d ≤ {distance}" for distance in DISTANCES])
    for wrong in best["wrong"]:
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
