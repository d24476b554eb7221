"""The parts of `bench/extract.py`."""
