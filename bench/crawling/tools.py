"""The two programs: how they are built or installed, and how a crawl is asked of each."""
import json
import shutil
import subprocess

import results

from . import measure

IMG2DATASET = "1.47.0"
# img2dataset looks for a newer version of one of its libraries at every start.
OFFLINE = {"NO_ALBUMENTATIONS_UPDATE": "1", "PYTHONWARNINGS": "ignore"}


class Refused(Exception):
    """The program has no such feature yet, or does not accept what the row asks for."""


def build(features, cache):
    """The release program with cargo `features`, copied aside so that two builds can take turns."""
    what = ["--package", "pipeline", "--bin", "pipeline", "--example", "picture_time"]
    folder = results.build(*what, *(["--features", features] if features else []), profile="release")
    kept = cache / "programs" / (features or "default")
    kept.mkdir(parents=True, exist_ok=True)
    shutil.copy2(folder / "pipeline", kept / "pipeline")
    shutil.copy2(folder / "examples" / "picture_time", kept / "picture_time")
    return kept


def python(cache):
    """The Python of a virtual environment that has img2dataset, Pillow and pyarrow; made on the first call."""
    return results.python(cache / "venv", [f"img2dataset=={IMG2DATASET}", "pillow"])


def versions(cache):
    """`img2dataset 1.47.0 (OpenCV 4.14.0.94, Python 3.11.7)`."""
    ask = "import importlib.metadata as m, platform; print(m.version('img2dataset'), m.version('opencv-python-headless'), platform.python_version())"
    said = subprocess.run([python(cache), "-c", ask], check=True, capture_output=True, text=True).stdout.split()
    return f"img2dataset {said[0]} (OpenCV {said[1]}, Python {said[2]})"


def config(folder, links, out, sections):
    """Writes a `crawl.toml`; `sections` is {section: {key: value}} and is laid over what every row needs."""
    every = {"input": {"urls": str(links)}, "image": {}, "net": {}, "output": {"path": str(out)}, "run": {}}
    lines = []
    for name, keys in every.items():
        lines.append(f"[{name}]")
        # JSON's strings, numbers, booleans and lists are TOML's.
        lines += [f"{key} = {json.dumps(value)}" for key, value in {**keys, **sections.get(name, {})}.items()]
    path = folder / "crawl.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def ours(programs, folder, links, sections, flags=(), **how):
    """A crawl of `pipeline` into `folder`/ours: the run and its summary (None where it was interrupted).

    # Raises
    `Refused` when the program refuses the config.
    """
    out = folder / "ours"
    command = [programs / "pipeline", "crawl", config(folder, links, out, sections), "--json", *flags]
    done = measure.run(command, folder, **how)
    if done.code == 2:
        raise Refused((folder / "stderr").read_text().strip())
    lines = [json.loads(line) for line in (folder / "stdout").read_text().splitlines() if line.startswith("{")]
    summaries = [line for line in lines if line.get("type") == "summary"]
    return done, (summaries[-1] if summaries else None)


def img2dataset(cache, folder, links, flags, **how):
    """A crawl of img2dataset into `folder`/theirs: the run, and how many rows it counts and how many succeeded."""
    out = folder / "theirs"
    program = python(cache).parent / "img2dataset"
    command = [program, "--url_list", links, "--output_folder", out, *(f"--{name}={value}" for name, value in flags.items())]
    done = measure.run(command, folder, env=OFFLINE, **how)
    stats = [json.loads(path.read_text()) for path in sorted(out.glob("*_stats.json"))]
    return done, sum(each["count"] for each in stats), sum(each["successes"] for each in stats)
