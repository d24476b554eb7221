"""A WAT file of any size, made of a small real one."""
import gzip
import re

# How Common Crawl packs its files.
LEVEL = 6


def records(sample):
    """The records of a WAT file, packed or not."""
    data = sample.read_bytes()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    begins = [found.start() for found in re.finditer(rb"WARC/1\.0\r\n", data)] + [len(data)]
    return [data[begin:end] for begin, end in zip(begins, begins[1:])]


def with_images(all_records):
    """Those records in which a link to an image stands."""
    return [record for record in all_records if b'"IMG@/src"' in record]


def repeated(path, parts, size):
    """Writes records, each a gzip member of its own, again and again until the file has about `size` bytes: bytes packed,
    bytes unpacked, how often."""
    block = b"".join(gzip.compress(part, LEVEL, mtime=0) for part in parts)
    times = max(1, round(size / len(block)))
    together = max(1, 2**20 // len(block))
    with path.open("wb") as file:
        for _ in range(times // together):
            file.write(block * together)
        file.write(block * (times % together))
    return path.stat().st_size, times * sum(map(len, parts)), times
