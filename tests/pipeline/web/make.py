"""Makes the fixtures of this folder that are not copies, and what cc2dataset extracts from the WAT files.

    pip install fastwarc pysimdjson           # for cc2dataset, whose other dependencies are not needed
    python3 make.py WEB CC2DATASET            # WEB: npm warc's test/fixtures; CC2DATASET: its repository
"""
import importlib
import json
import pathlib
import re
import sys
import types

HERE = pathlib.Path(__file__).parent


def cut(web):
    """Of the Common Crawl sample all but one page of 220 KB."""
    data = next(web.glob("*.warc")).read_bytes()
    begins = [found.start() for found in re.finditer(rb"WARC/1\.0\r\n", data)] + [len(data)]
    records = [data[begin:end] for begin, end in zip(begins, begins[1:])]
    small = [record for record in records if b"Thailand" not in record.split(b"\r\n\r\n")[0]]
    (HERE / "common-crawl.warc").write_bytes(b"".join(small))


def record(url, links, base=None, **payload):
    """A WAT record of a page."""
    head = {"Base": base} if base is not None else {}
    response = {"Headers": {}, "HTML-Metadata": {"Head": head, "Links": links}} | payload
    body = {
        "Container": {"Filename": "crawl-data/example.warc.gz", "Compressed": True},
        "Envelope": {
            "Payload-Metadata": {"HTTP-Response-Metadata": response},
            "WARC-Header-Metadata": {"WARC-Type": "response", "WARC-Target-URI": url},
        },
    }
    return json.dumps(body, ensure_ascii=False)


def image(url, alt=None, **more):
    return {"path": "IMG@/src", "url": url} | ({"alt": alt} if alt is not None else {}) | more


def corners():
    """Every rule of cc2dataset, and what urljoin makes of odd references."""
    odd = ["a.png", "/a.png", "//cdn.example/a.png", "?a", "#a", "../a.png", "../../../a.png", "./b/../a.png", "a b.png"]
    odd += [" a.png", "\ta\n.png", "http:a.png", "HTTP://H.example/A.png", "https:a.png", "data:image/gif;base64,R0", "//[::1]/a"]
    odd += ["//[::1/a", "//h\uff0fo/a", "a;b/c;d", "a.png?x&amp;y#z", "é.png", "javascript:x", "", "..", "http://o.example/a b"]
    every = [image(url, "alt %d" % number) for number, url in enumerate(odd)]
    pages = [
        record("http://h.example/dir/page?q#f", every),
        record("https://h.example", every),
        record("http://h.example/dir/", every, base="/base/x"),
        record("http://h.example/dir/", every, base="https://cdn.example"),
        record("http://h.example/dir/", every, base="ftp://cdn.example/"),
        record("http://h.example/dir/", every, base="//[bad/"),
        record("http://h.example/dir/", every, base=""),
        record("http://h.example/alt", [image("1"), image("2", ""), image("3", " "), image("4", "Кот &amp; кит\n"), image("5", "a", title="t")]),
        record("http://h.example/path", [{"path": "A@/href", "url": "/x", "alt": "x"}, {"path": "IMG@/longdesc", "url": "/y", "alt": "y"}, {"url": "/z", "alt": "z"}]),
        record("http://h.example/none", []),
        '{"broken": "IMG@/src", "HTML-Metadata"',
        '{"Envelope": {"Payload-Metadata": {"HTTP-Request-Metadata": {}}}}',
        record("http://h.example/last", [image("/last.png", "last")]),
    ]
    records = []
    for page in pages:
        body = page.encode()
        head = "WARC/1.0\r\nWARC-Type: metadata\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        records.append(head.encode() + body + b"\r\n\r\n")
    (HERE / "corners.wat").write_bytes(b"".join(records))


def golden(repository):
    """What cc2dataset itself extracts, one JSON array per row."""
    for name in ("fsspec", "loguru", "pyspark", "pyspark.sql", "pyspark.sql.functions", "fire"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["loguru"].logger = types.SimpleNamespace(info=lambda *_: None)
    for module, names in (("pyspark", ["SparkContext"]), ("pyspark.sql", ["SparkSession"]), ("pyspark.sql.functions", ["rand"])):
        for name in names:
            setattr(sys.modules[module], name, None)
    sys.path.insert(0, str(repository))
    extract = importlib.import_module("cc2dataset.main").extract_documents_from_wat
    for wat in sorted(HERE.glob("*.wat")):
        with wat.open("rb") as stream:
            rows = extract(stream, "image")
        lines = [json.dumps([row[name] for name in ("uid", "url", "alt", "cc_filename", "page_url")], ensure_ascii=False) for row in rows]
        wat.with_suffix(".cc2dataset.jsonl").write_text("".join(line + "\n" for line in lines))
        print(wat.name, len(lines), "rows")


if __name__ == "__main__":
    cut(pathlib.Path(sys.argv[1]))
    corners()
    golden(pathlib.Path(sys.argv[2]))
