"""cc2dataset: its own function that reads a WAT file, without Spark around it.

Run as a program inside of the virtual environment it reads one file and prints how many links it found.
"""
import importlib
import sys
import types

# What cc2dataset imports for its cluster, and this function does without.
CLUSTER = ("fsspec", "loguru", "pyspark", "pyspark.sql", "pyspark.sql.functions", "fire")


def reader():
    """`cc2dataset.main.extract_documents_from_wat`, with empty modules in place of those that a cluster needs."""
    for name in CLUSTER:
        sys.modules[name] = types.ModuleType(name)
    sys.modules["loguru"].logger = types.SimpleNamespace(info=lambda *_: None)
    for module, name in (("pyspark", "SparkContext"), ("pyspark.sql", "SparkSession"), ("pyspark.sql.functions", "rand")):
        setattr(sys.modules[module], name, None)
    return importlib.import_module("cc2dataset.main").extract_documents_from_wat


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as wat:
        print(len(reader()(wat, "image")))
