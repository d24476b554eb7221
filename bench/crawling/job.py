"""What every row is given: programs, pictures, rounds, a scratch folder; and how it reports."""
import contextlib
import csv
import os
import pathlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

import results

from . import tools

HERE = pathlib.Path(__file__).resolve().parent.parent


@dataclass
class Job:
    """One call of `bench/crawl.py`."""

    cache: pathlib.Path
    programs: dict  # {name: folder of the programs}
    photos: str  # folder, or `-`
    rounds: int
    quick: bool
    command: str  # to be repeated by a reader
    profile: str  # how the programs were built

    @property
    def program(self):
        """The default build."""
        return self.programs["pipeline"]

    def count(self, full, quick):
        """How many, by mode."""
        return quick if self.quick else full

    def pictures(self, name, count, *size):
        """The folder of a picture set, made on the first call; see `crawling/pictures.py` for `size`."""
        made_of = "noise" if self.photos == "-" else "photos"
        folder = self.cache / "pictures" / f"{name}-{count}-{made_of}"
        if not (folder / "source.txt").exists():
            command = [tools.python(self.cache), "-m", "crawling.pictures", self.photos, folder, count, *size]
            subprocess.run([str(part) for part in command], cwd=HERE, check=True)
        return folder

    @contextlib.contextmanager
    def scratch(self):
        """A folder that is gone afterwards."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-crawl-", dir=self.cache))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def report(self, title, about, header, table):
        """Prints a section and, unless this is a quick run, puts it into RESULTS.md."""
        load = f"load average at the end {os.getloadavg()[0]:.1f}"
        facts = [results.processor(), self.profile, about, load]
        text = results.section(title, f"{'; '.join(facts)}. `{self.command}`.", header, table)
        print(text, flush=True)
        if not self.quick:
            results.replace(title, text)


def write_links(path, links):
    """A CSV list with captions."""
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["url", "caption"])
        rows.writerows((link, f"caption {n}") for n, link in enumerate(links))
    return path
