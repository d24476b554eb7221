"""Holds what `pipeline dedup` decided about copies against what they are. Runs in the virtual environment, which has pyarrow.

    python judge.py PAIRS OUT SAME

PAIRS are the shards, OUT what `pipeline dedup` made of them, SAME a file with the names of photos that show one picture, a
line for each picture. Prints a JSON object: recall by kind of copy, precision of all drops, and the drops that are wrong.
"""
import json
import pathlib
import sys

import pyarrow.parquet as parquet


def names(pairs):
    """Photo and kind of copy of each key."""
    for path in sorted(pairs.glob("*.parquet")):
        table = parquet.read_table(path, columns=["key", "source_key"]).to_pylist()
        for row in table:
            photo, _, kind = row["source_key"].partition("--")
            yield row["key"], (photo, kind)


def main(pairs, out, same):
    shown = {photo: group for group, line in enumerate(same.read_text().splitlines()) for photo in line.split()}
    copies = dict(names(pairs))
    clusters = {row["key"]: row for row in parquet.read_table(out / "decisions.parquet").to_pylist()}
    originals = {photo: key for key, (photo, kind) in copies.items() if kind == "original"}
    found, wrong, dropped = {}, [], 0
    for key, (photo, kind) in copies.items():
        row = clusters[key]
        if kind != "original":
            together = row["cluster"] == clusters[originals[photo]]["cluster"]
            found.setdefault(kind, []).append(together)
        if not row["keep"]:
            dropped += 1
            other = copies[row["cluster"]][0]
            if other != photo and shown.get(other, other) != shown.get(photo, photo):
                wrong.append([photo, kind, *copies[row["cluster"]]])
    recall = {kind: sum(each) / len(each) for kind, each in found.items()}
    print(json.dumps({
        "photos": len(originals), "copies": len(copies), "recall": recall, "dropped": dropped,
        "precision": 1 - len(wrong) / max(dropped, 1), "wrong": wrong}))


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
