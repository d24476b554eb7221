"""The rows of `bench/crawl.py`: `pipeline crawl` and img2dataset on the same loopback server."""
