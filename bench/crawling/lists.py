"""Writes a long Parquet list. Runs under the virtual environment's Python: needs pyarrow.

    python -m crawling.lists OUT ROWS PICTURES PORT HOST…

A million rows at a time, so that the list may be longer than the memory of the machine. Every link is another one; hosts
and pictures take turns. Captions have about the length of LAION's.
"""
import sys

import numpy
import pyarrow
import pyarrow.compute as compute
import pyarrow.parquet as parquet

GROUP = 1 << 20
WORDS = "a the old red small house garden river light morning with under photo of wooden table city street cat dog".split()


def text(values):
    return compute.cast(pyarrow.array(values), pyarrow.string())


def rows(first, count, pictures, port, hosts):
    """Rows `first`… of the list."""
    n = numpy.arange(first, first + count)
    host = pyarrow.array(hosts).take(pyarrow.array(n % len(hosts)))
    file = compute.utf8_lpad(text(n % pictures), 5, "0")
    url = compute.binary_join_element_wise("http://", host, f":{port}/p/", file, ".jpg?row=", text(n), "")
    rng, words = numpy.random.default_rng(first), pyarrow.array(WORDS)
    picked = [words.take(pyarrow.array(rng.integers(0, len(WORDS), count))) for _ in range(10)]
    return pyarrow.table({"url": url, "caption": compute.binary_join_element_wise(*picked, " ")})


def main(out, count, pictures, port, *hosts):
    count, writer = int(count), None
    for first in range(0, count, GROUP):
        table = rows(first, min(GROUP, count - first), int(pictures), port, list(hosts))
        writer = writer or parquet.ParquetWriter(out, table.schema)
        writer.write_table(table, row_group_size=GROUP)
    writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
