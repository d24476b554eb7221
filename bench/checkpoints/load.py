"""Loads a checkpoint into a module of f32 parameters as PyTorch's users do, and prints how long it took.

    python load.py FILE [mmap]

The module's parameters are made without numbers (`torch.empty`): ru-dalle's own code draws them first, which takes longer.
"""
import json
import sys
import time

import torch
from make import shapes


def module():
    """A tree of modules with the checkpoint's keys."""
    root = torch.nn.Module()
    for key, shape in shapes():
        *path, name = key.split(".")
        at = root
        for part in path:
            if not hasattr(at, part):
                at.add_module(part, torch.nn.Module())
            at = getattr(at, part)
        setattr(at, name, torch.nn.Parameter(torch.empty(shape), requires_grad=False))
    return root


def main():
    start = time.perf_counter()
    model = module()
    state = torch.load(sys.argv[1], map_location="cpu", weights_only=True, mmap="mmap" in sys.argv)
    model.load_state_dict({key: value for key, value in state.items() if not key.endswith("_mask")})
    seconds = time.perf_counter() - start
    del state
    print(json.dumps({"seconds": seconds, "sum": model.get_parameter("to_logits.1.weight")[0].sum().item()}))


if __name__ == "__main__":
    main()
