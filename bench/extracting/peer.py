"""cc2dataset: its own function that reads a WAT file, without Spark around it.

Run as a program inside of the virtual environment it reads one file and prints how many links it found.
"""
import importlib
import subprocess
import sys
import types

CC2DATASET = "1.5.0"
# What cc2dataset imports for its cluster, and this function does without.
CLUSTER = ("fsspec", "loguru", "pyspark", "pyspark.sql", "pyspark.sql.functions", "fire")


def python(cache):
    """The Python of a virtual environment that has cc2dataset and its readers; made on the first call."""
    home = cache / "cc2dataset"
    program = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        install = [program, "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, "fastwarc", "pysimdjson"], check=True)
        subprocess.run([*install, "--no-deps", f"cc2dataset=={CC2DATASET}"], check=True)
        (home / "ready").write_text(CC2DATASET + "\n")
    return program


def versions(cache):
    """`cc2dataset 1.5.0 (FastWARC 2.0.1, pysimdjson 7.0.2, Python 3.11.7)`."""
    ask = "import importlib.metadata as m, platform; print(m.version('fastwarc'), m.version('pysimdjson'), platform.python_version())"
    said = subprocess.run([python(cache), "-c", ask], check=True, capture_output=True, text=True).stdout.split()
    return f"cc2dataset {CC2DATASET} (FastWARC {said[0]}, pysimdjson {said[1]}, Python {said[2]})"


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
