"""Writes a table of hashes, for `pipeline dedup` to group. Runs in the virtual environment, which has NumPy and pyarrow.

    python table.py COUNT OUT

Four fifths of the hashes are alone, the others are copies of them with 1 to 6 bits changed, in an order by chance. Shards of
a million rows, with the columns `key` and `phash`.
"""
import pathlib
import sys

import numpy
import pyarrow
import pyarrow.parquet as parquet

SHARD = 1_000_000


def hashes(count):
    chance = numpy.random.default_rng(1)
    alone = chance.integers(0, 2**64, count - count // 5, dtype=numpy.uint64)
    copies = chance.choice(alone, count // 5)
    changes = chance.integers(1, 7, len(copies))
    for change in range(6):
        bit = numpy.uint64(1) << chance.integers(0, 64, len(copies), dtype=numpy.uint64)
        copies ^= numpy.where(change < changes, bit, numpy.uint64(0))
    all = numpy.concatenate([alone, copies])
    chance.shuffle(all)
    return all


def main(count, out):
    out.mkdir(parents=True)
    all = hashes(count)
    for shard, first in enumerate(range(0, count, SHARD)):
        part = all[first : first + SHARD].tolist()
        table = pyarrow.table({
            "key": [f"{first + row:09}" for row in range(len(part))],
            "phash": [f"{value:016x}" for value in part],
        })
        parquet.write_table(table, out / f"{shard:05}.parquet")


if __name__ == "__main__":
    main(int(sys.argv[1]), pathlib.Path(sys.argv[2]))
