"""Prints what a library makes of a Parquet table: `tables.py pandas|polars|pyarrow FILE`."""

import importlib
import json
import sys

library, path = sys.argv[1:]
module = importlib.import_module("pyarrow.parquet" if library == "pyarrow" else library)
table = module.read_table(path) if library == "pyarrow" else module.read_parquet(path)
columns = table.column_names if library == "pyarrow" else list(table.columns)
keys = table["key"].to_pylist() if library == "pyarrow" else list(table["key"])
widths = table["width"].to_pylist() if library == "pyarrow" else list(table["width"])
print(json.dumps({
    "columns": columns,
    "keys": keys,
    "widths": [None if width is None or width != width else int(width) for width in widths],
}))
