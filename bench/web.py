#!/usr/bin/env python3
"""From a web site to clean pairs: extract, crawl, filter, dedup and card on a site that this script serves on loopback.

    python3 bench/web.py --site SITE [--keep DIR]    # SITE: a folder of pages and pictures with a sitemap.xml for 127.0.0.1:8000

Every command runs twice: the second run must find nothing to do. The pairs and the card are kept with --keep.
"""
import argparse
import contextlib
import functools
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

import results
from crawling import measure

PORT = 8000
ADDRESS = f"127.0.0.1:{PORT}"


class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(site):
    """The site, on a thread of this process."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", PORT), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def commands(pipeline):
    """The road, as the README has it."""
    rules = results.ROOT / "configs" / "filter.toml"
    yield "extract", [pipeline, "extract", f"http://{ADDRESS}/sitemap.xml", "--allow", ADDRESS, "--out", "data/links"]
    yield "crawl", [pipeline, "crawl", "data/links", "--allow", ADDRESS, "--out", "data/pairs"]
    yield "filter", [pipeline, "filter", rules]
    yield "dedup", [pipeline, "dedup", "data/clean", "--out", "data/unique"]
    yield "card", [pipeline, "card", "data/unique", "--out", "card.html", "--title", "The GIMP manual"]


def rows(folder, pipeline, work):
    """Rows of a folder of shards."""
    said = subprocess.run([pipeline, "show", folder, "--json"], cwd=work, check=True, capture_output=True).stdout
    return json.loads(said)["rows"]


def ran(command, work):
    """A run that must succeed."""
    here = os.getcwd()
    os.chdir(work)
    try:
        run = measure.run(command, work)
    finally:
        os.chdir(here)
    if not run.ok:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{run.said}")
    return run


def table(pipeline, work):
    """One line per command."""
    folders = {"extract": "data/links", "crawl": "data/pairs", "filter": "data/clean", "dedup": "data/unique"}
    for name, command in commands(pipeline):
        first, again = ran(command, work), ran(command, work)
        left = f"{rows(folders[name], pipeline, work):,}" if name in folders else f"{(work / 'card.html').stat().st_size / 1e6:.1f} MB"
        print(f"{name}: {first.wall:.1f} s, {left}\n{first.said}", flush=True)
        yield [
            f"`pipeline {name}`", left, f"{first.wall:.1f} s", f"{first.cpu:.1f} s",
            f"{first.peak / 2**20:.0f} MiB", f"{again.wall:.2f} s",
        ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=pathlib.Path, required=True, metavar="DIR")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="work in this new folder and leave it")
    parser.add_argument("--programs", type=pathlib.Path, metavar="DIR", help="take `pipeline` from here, do not build")
    parser.add_argument("--quick", action="store_true", help="RESULTS.md stays as it is")
    args = parser.parse_args()
    site = args.site.resolve()
    folder = args.programs or results.build("--package", "pipeline", "--bin", "pipeline", profile="release")
    pages = sum(1 for _ in site.rglob("*.html"))
    pictures = sum(1 for _ in site.rglob("*.png"))
    with served(site), tempfile.TemporaryDirectory() as temporary:
        work = args.keep.resolve() if args.keep else pathlib.Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        found = list(table(pathlib.Path(folder).resolve() / "pipeline", work))
    title = "A web site, end to end"
    about = (
        f"{results.processor()}, {results.profile('release')}: {pages:,} pages with {pictures:,} pictures, the GIMP manual in Russian "
        "and English, served by Python on the same machine. One run. `python3 bench/web.py --site SITE`."
    )
    header = ["command", "rows that are left", "wall", "CPU", "peak memory", "the same command again"]
    section = results.section(title, about, header, found)
    print(section)
    if not args.quick:
        results.replace(title, section)


if __name__ == "__main__":
    main()
