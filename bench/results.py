"""What the scripts of this folder share: building the programs, and their sections of bench/RESULTS.md."""
import datetime
import json
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "RESULTS.md"


def build(*what, profile="dev"):
    """Builds with `cargo build WHAT` in a profile and returns the folder of the programs."""
    subprocess.run(["cargo", "build", "--profile", profile, *what], cwd=ROOT, check=True)
    metadata = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    found = subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True).stdout
    return pathlib.Path(json.loads(found)["target_directory"]) / ("debug" if profile == "dev" else profile)


def python(home, *installs):
    """The Python of the virtual environment `home`, made on the first call; each install is what one `pip install` is given."""
    program = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        for wanted in installs:
            subprocess.run([program, "-m", "pip", "install", "--quiet", *wanted], check=True)
        (home / "ready").write_text("\n".join(word for wanted in installs for word in wanted) + "\n")
    return program


def profile(name):
    """What Cargo.toml says of a profile, `.cargo/config.toml` of the processor: `release profile (lto = "thin")`."""
    keys = tomllib.loads((ROOT / "Cargo.toml").read_text()).get("profile", {}).get(name, {})
    told = [f"{key} = {json.dumps(value)}" for key, value in keys.items() if not isinstance(value, dict)]
    flags = re.findall(r"target-cpu=[\w-]+", (ROOT / ".cargo" / "config.toml").read_text())
    return f"{name} profile ({', '.join([*told, *flags]) or 'defaults'})"


def processor():
    """Model of the first processor and the number of cores."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else 'unknown processor'}, {max(len(models), 1)} cores"


def section(title, about, header, table):
    """A section as text: a title, a line about the measurement, a table."""
    lines = [f"## {title}", "", f"{datetime.date.today()}, {about}", ""]
    lines += [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [f"| {' | '.join(row)} |" for row in table]
    return "\n".join(lines) + "\n"


def replace(title, text):
    """Puts the section into RESULTS.md in place of the one of the same title."""
    old = RESULTS.read_text() if RESULTS.exists() else "# Results\n\nWritten by the scripts of this folder.\n"
    head, *parts = old.split("\n## ")
    parts = [part for part in parts if not part.startswith(title + "\n")]
    body = "\n## ".join([head.rstrip("\n") + "\n", *parts, text.removeprefix("## ")])
    RESULTS.write_text(body.rstrip("\n") + "\n")
