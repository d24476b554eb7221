"""Where cc2dataset runs: a virtual environment with its readers, without Spark."""
import subprocess

import results

CC2DATASET = "1.5.0"


def python(cache):
    """The Python of a virtual environment that has cc2dataset and its readers; made on the first call."""
    return results.python(cache / "cc2dataset", ["fastwarc", "pysimdjson"], ["--no-deps", f"cc2dataset=={CC2DATASET}"])


def versions(cache):
    """`cc2dataset 1.5.0 (FastWARC 2.0.1, pysimdjson 7.0.2, Python 3.11.7)`."""
    ask = "import importlib.metadata as m, platform; print(m.version('fastwarc'), m.version('pysimdjson'), platform.python_version())"
    said = subprocess.run([python(cache), "-c", ask], check=True, capture_output=True, text=True).stdout.split()
    return f"cc2dataset {CC2DATASET} (FastWARC {said[0]}, pysimdjson {said[1]}, Python {said[2]})"
