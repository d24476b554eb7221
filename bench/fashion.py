#!/usr/bin/env python3
"""Fashion-MNIST as tars that `pipeline crawl` reads: a PNG and a JSON with `label` and `split` for each picture.

    python3 bench/fashion.py FOLDER --out data/fashion

FOLDER holds the four IDX files as they are published (github.com/zalandoresearch/fashion-mnist, MIT), packed or not;
MNIST and its other relatives have the same names and layout. Pictures of 28 x 28 get a black margin up to `--side`: no
pixel is mixed with another, as scaling would, and the background of these sets is black. The same files give the same
bytes.
"""
import argparse
import gzip
import io
import json
import pathlib
import struct
import sys
import tarfile
import zlib

PARTS = {"train": "train", "test": "t10k"}
# What the first four bytes say: unsigned bytes in three dimensions, or in one.
IMAGES, LABELS = 0x0803, 0x0801


def idx(folder, name, magic):
    """Dimensions and bytes of an IDX file."""
    path = next((path for path in [folder / f"{name}.gz", folder / name] if path.exists()), None)
    if path is None:
        sys.exit(f"{folder / name}: not there, neither packed (.gz) nor unpacked")
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    rank = magic & 0xFF
    found, *dims = struct.unpack(f">{1 + rank}I", data[: 4 + 4 * rank])
    body = data[4 + 4 * rank :]
    size = 1
    for dim in dims:
        size *= dim
    if found != magic or len(body) != size:
        sys.exit(f"{path}: no IDX file of bytes in {rank} dimensions, or cut short")
    return dims, body


def png(rows):
    """Rows of grey bytes as a PNG file."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def framed(picture, height, width, side):
    """The picture's rows in the middle of a black square."""
    left, top = (side - width) // 2, (side - height) // 2
    rows = [bytes(left) + picture[at : at + width] + bytes(side - width - left) for at in range(0, height * width, width)]
    return [bytes(side)] * top + rows + [bytes(side)] * (side - height - top)


def write(folder, split, out, side):
    (count, height, width), pixels = idx(folder, f"{PARTS[split]}-images-idx3-ubyte", IMAGES)
    (labelled,), labels = idx(folder, f"{PARTS[split]}-labels-idx1-ubyte", LABELS)
    if labelled != count:
        sys.exit(f"{folder}: {count} pictures and {labelled} labels of {split}")
    if side < max(height, width):
        sys.exit(f"--side: {side} is less than the {height} x {width} of the pictures")
    unfinished = out.with_suffix(".unfinished")
    with tarfile.open(unfinished, "w") as tar:
        for number in range(count):
            picture = pixels[number * height * width : (number + 1) * height * width]
            about = json.dumps({"label": labels[number], "split": split})
            for ending, data in [("png", png(framed(picture, height, width, side))), ("json", about.encode())]:
                member = tarfile.TarInfo(f"{split}-{number:05}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    unfinished.rename(out)
    print(f"{out}: {count} pictures of {side} x {side} pixels")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="the four IDX files")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("data/fashion"), metavar="DIR", help="[data/fashion]")
    parser.add_argument("--side", type=int, default=32, help="pixels per side, the margin included [32]")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for split in PARTS:
        write(args.folder, split, args.out / f"{split}.tar", args.side)


if __name__ == "__main__":
    main()
