"""Compares the hashes of `pipeline dedup` with those of imagehash. Runs in the virtual environment.

    python parity.py PAIRS OUT

PAIRS are shards whose pictures are stored as they came, OUT what `pipeline dedup` made of them. By kind of file, and apart
where Pillow hands out other pixels by design: colour profiles, orientation, transparency, 16 bits.
"""
import collections
import io
import json
import pathlib
import sys

import imagehash
import numpy
import PIL
import pyarrow.parquet as parquet
import scipy
from PIL import Image


def kind(picture):
    """The format, and what `pipeline` looks at and `Image.open` does not."""
    own = [name for name, there in {
        "profile": picture.info.get("icc_profile"),
        "orientation": picture.getexif().get(0x0112, 1) != 1,
        "transparency": "A" in picture.mode or "transparency" in picture.info,
        "16 bits": picture.mode.startswith("I"),
        "inks": picture.mode == "CMYK",
    }.items() if there]
    return " with ".join([picture.format, ", ".join(own)]) if own else picture.format


def main(pairs, out):
    hashes = {row["key"]: row["phash"] for row in parquet.read_table(out / "decisions.parquet").to_pylist()}
    equal, bits = collections.defaultdict(lambda: [0, 0]), collections.defaultdict(collections.Counter)
    for path in sorted(pairs.glob("*.parquet")):
        for batch in parquet.ParquetFile(path).iter_batches(16):
            for row in batch.to_pylist():
                stored = next((row[name] for name in ("jpg", "png", "webp") if row.get(name)), None)
                ours = hashes[row["key"]]
                if stored is None or ours is None:
                    continue
                try:
                    picture = Image.open(io.BytesIO(stored))
                    name, theirs = kind(picture), imagehash.phash(picture)
                except Exception as why:
                    print("not read:", row["source_key"], why, file=sys.stderr)
                    continue
                differ = int(theirs - imagehash.hex_to_hash(ours))
                equal[name][0] += differ == 0
                equal[name][1] += 1
                if differ:
                    bits[name][differ] += 1
    versions = f"imagehash {imagehash.__version__}, Pillow {PIL.__version__}, SciPy {scipy.__version__}, NumPy {numpy.__version__}"
    shown = {name: ", ".join(f"{count} × {differ}" for differ, count in sorted(found.items())) for name, found in bits.items()}
    print(json.dumps({"versions": versions, "equal": equal, "bits": shown}))


if __name__ == "__main__":
    Image.MAX_IMAGE_PIXELS = None
    main(*map(pathlib.Path, sys.argv[1:]))
