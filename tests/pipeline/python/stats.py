"""Prints which shards img2dataset would take for done, by the rule of its main.py, and whether stats are as it spells them."""

import glob
import json
import sys

names = glob.glob(sys.argv[1] + "/*_stats.json")
texts = [open(name).read() for name in names]
print(json.dumps({
    "done": sorted(int(name.split("/")[-1].split("_")[0]) for name in names),
    "same_text": all(text == json.dumps(json.loads(text), indent=4) for text in texts),
}))
