"""Prints the samples of tars as the webdataset library reads them: one JSON object a line."""

import json
import sys

import webdataset

for sample in webdataset.WebDataset(sys.argv[1:], shardshuffle=False):
    meta = json.loads(sample["json"])
    print(json.dumps({
        "key": sample["__key__"],
        "members": sorted(name for name in sample if not name.startswith("__")),
        "jpg": len(sample["jpg"]),
        "txt": sample["txt"].decode(),
        "caption": meta["caption"],
        "same_text": sample["json"].decode() == json.dumps(meta, indent=4),
    }))
