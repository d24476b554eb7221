#!/usr/bin/env python3
"""How long `pipeline filter` takes over many rows of metadata, and in how much memory; writes a section of RESULTS.md.

    python3 bench/filter.py                                        # builds, makes ten million rows once, measures
    python3 bench/filter.py --language-model lid.176.ftz           # DataComp's filter with its own detector too
    python3 bench/filter.py --rows 20000 --profile dev --quick     # small and once, prints and writes nothing

The rows come from `pipeline/examples/filter_rows.rs`: the same each time, made up, in ten languages, with what crawls
meet: file names, templates, mojibake, entities, missing captions. See bench/README.md.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shutil
import sys
import tempfile

import results
from crawling import measure

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "troika" / "bench"
SECONDS, MEBIBYTES = 30, 1024
LISTS = {
    "configs/filter.toml": ["configs/filter.toml"],
    "datacomp-basic": ["--preset", "datacomp-basic"],
    "laion": ["--preset", "laion"],
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, metavar="N", help="[10000000]")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each list of rules [3]")
    parser.add_argument("--language-model", type=pathlib.Path, metavar="FILE", help="a fastText model, for one more list")
    parser.add_argument("--quick", action="store_true", help="one round, RESULTS.md stays as it is")
    parser.add_argument("--profile", default="release", help="[release]")
    parser.add_argument("--programs", type=pathlib.Path, metavar="DIR", help="take the programs from here, do not build")
    parser.add_argument("--built", default="not said how", metavar="TEXT", help="how those programs were built")
    parser.add_argument("--cache", type=pathlib.Path, default=CACHE, metavar="DIR", help=f"[{CACHE}]")
    return parser.parse_args()


def programs(args):
    """The folder of `pipeline` and of `examples/filter_rows`."""
    if args.programs:
        return args.programs.resolve()
    return results.build("-p", "pipeline", "--bin", "pipeline", "--example", "filter_rows", profile=args.profile)


def made(program, cache, rows):
    """The folder of the table, which is written on the first call."""
    source = (results.ROOT / "pipeline" / "examples" / "filter_rows.rs").read_bytes()
    folder = cache / f"filter-{rows}-{hashlib.sha256(source).hexdigest()[:8]}"
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        ran = measure.run([program, folder, rows], cache, limit=3600)
        if not ran.ok:
            sys.exit(f"the rows were not made: {ran.said}")
        (folder / "made").touch()
    return folder


def filtered(program, flags, table, scratch, threads):
    """One run into a new folder: what it cost, its summary, a digest of all that it wrote."""
    out = scratch / "out"
    shutil.rmtree(out, ignore_errors=True)
    source = [] if flags[0].endswith(".toml") else [str(table)]
    sets = ["--set", f"input={table}"] if not source else []
    command = [program, "filter", *source, *flags, *sets, "--out", out, "--threads", threads, "--json", "-q"]
    ran = measure.run(command, scratch)
    if not ran.ok:
        sys.exit(f"exit code {ran.code}: {' '.join(map(str, command))}\n{ran.said}")
    digest = hashlib.sha256()
    for path in sorted([*out.glob("*.parquet"), out / "manifest.json"]):
        digest.update(path.name.encode())
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return ran, json.loads(ran.said.splitlines()[-1]), digest.hexdigest()


def measured(name, program, flags, table, args, scratch):
    """The lines of a list of rules; an outcome that depends on the threads is an error, not a result."""
    runs = [filtered(program, flags, table, scratch, 2) for _ in range(args.rounds)]
    alone = filtered(program, flags, table, scratch, 1)
    if len({digest for _, _, digest in [*runs, alone]}) != 1:
        sys.exit(f"{name}: the outcome is not the same with 1 and 2 threads")
    summary, costs = alone[1], [ran for ran, _, _ in runs]
    cpu = [ran.cpu for ran in costs]
    per_row = [1e6 * seconds / args.rows for seconds in cpu]
    peak = max(ran.peak for ran in costs) / 2**20
    return [
        [name, "rules, rows kept", "", f"{len(summary['funnel']['rules'])}, {100 * summary['rows'] / args.rows:.1f} %"],
        ["", "wall, 2 threads", f"under {SECONDS} s", f"{measure.spread(ran.wall for ran in costs)} s"],
        ["", "CPU", "", f"{measure.spread(cpu)} s, {measure.spread(per_row, '{:.2f}')} µs a row"],
        ["", "peak memory", f"under {MEBIBYTES:,} MiB", f"{peak:.0f} MiB"],
        ["", "wall, 1 thread", "the same bytes", f"{alone[0].wall:.1f} s, the same bytes"],
    ]


def main():
    args = arguments()
    args.rounds = 1 if args.quick else args.rounds
    args.cache.mkdir(parents=True, exist_ok=True)
    folder = programs(args)
    table = made(folder / "examples" / "filter_rows", args.cache, args.rows)
    lists = dict(LISTS)
    if args.language_model:
        model = str(args.language_model.resolve())
        lists[f"datacomp-basic, {args.language_model.name}"] = ["--preset", "datacomp-basic", "--language-model", model]
    scratch, lines = pathlib.Path(tempfile.mkdtemp(prefix="bench-filter-", dir=args.cache)), []
    try:
        for name, flags in lists.items():
            lines += measured(name, folder / "pipeline", flags, table, args, scratch)
            print(*(" | ".join(line) for line in lines[-5:]), sep="\n", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    size = sum(shard.stat().st_size for shard in table.glob("*.parquet")) >> 20
    built = f"programs built with {args.built}" if args.programs else results.profile(args.profile)
    facts = [
        results.processor(), built, f"{args.rows:,} made-up rows ({size:,} MiB of Parquet), runs of each: {args.rounds}",
        f"load average at the end {os.getloadavg()[0]:.1f}. `python3 bench/filter.py`.",
    ]
    title = "Filter: rows of metadata"
    text = results.section(title, "; ".join(facts), ["rules", "what", "asked", "measured"], lines)
    print(text)
    if not args.quick:
        results.replace(title, text)


if __name__ == "__main__":
    main()
