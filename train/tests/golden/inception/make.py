"""Expected features and distances of FID's Inception-v3 with the weights and pictures that `case.json` describes.

    pip install pytorch-fid==0.3.0 torch torchvision scipy safetensors numpy
    python make.py [state.pth]           writes io.safetensors and case.json; also the state dict, if asked
"""

import json
import pathlib
import sys

import numpy as np
import pytorch_fid
import scipy
import torch
import torchvision
from pytorch_fid import inception as published
from pytorch_fid.fid_score import calculate_frechet_distance
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent
SIZES = [(40, 40), (64, 48), (299, 299), (330, 310), (33, 57), (48, 48), (40, 64), (299, 301)]


def mix(h):
    h = h.astype(np.uint32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))


def uniform(key, count):
    """In [-1, 1): FNV-1a of the key, plus the place times the golden ratio, through murmur3's last step."""
    seed = 0x811C9DC5
    for byte in key.encode():
        seed = (seed ^ byte) * 0x01000193 & 0xFFFFFFFF
    places = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B9) + np.uint64(seed)
    return (mix(places & np.uint64(0xFFFFFFFF)) >> np.uint32(8)) / 2.0**23 - 1.0


def weights(key, shape):
    values = uniform(key, int(np.prod(shape)))
    if key.endswith("conv.weight"):
        values = values * np.sqrt(6.0 / np.prod(shape[1:]))
    elif key.endswith("bn.weight"):
        values = 1.0 + 0.25 * values
    elif key.endswith("bn.running_var"):
        values = 1.0 + 0.5 * values
    else:
        values = 0.25 * values
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def picture(number, width, height):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return (x * (2 + number) + y * (7 - number) + x * y // (5 + number) * (c + 1) + 40 * c + 29 * number) % 256


def model():
    empty = published._inception_v3(num_classes=1008, aux_logits=False, weights=None).state_dict()
    published.load_state_dict_from_url = lambda *a, **k: state
    # The patched blocks have the shapes of those that they replace.
    state = {k: (v if k.endswith("num_batches_tracked") else weights(k, tuple(v.shape))) for k, v in empty.items()}
    return published.InceptionV3([3]).eval(), state


def exact(a, b):
    """The distance with the square root's trace as the nuclear norm of the product of the centred features."""
    c, d = a - a.mean(0), b - b.mean(0)
    trace = np.linalg.svd(c @ d.T, compute_uv=False).sum() / np.sqrt((len(a) - 1) * (len(b) - 1))
    spread = (c**2).sum() / (len(a) - 1) + (d**2).sum() / (len(b) - 1)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + spread - 2 * trace)


def main():
    network, state = model()
    if len(sys.argv) > 1:
        torch.save(state, sys.argv[1])
    rows = []
    with torch.no_grad():
        for number, size in enumerate(SIZES):
            pixels = torch.from_numpy(picture(number, *size).astype(np.float32) / 255).permute(2, 0, 1)[None]
            rows.append(network(pixels)[0].squeeze().numpy())
    features = np.stack(rows)
    save_file({"features": features}, HERE / "io.safetensors")
    a, b = (part.astype(np.float64) for part in (features[:4], features[4:]))
    published_fid = float(
        calculate_frechet_distance(a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False))
    )
    case = {
        "case": "inception",
        "model": "inception",
        "reference": f"pytorch-fid 0.3.0, torchvision {torchvision.__version__}, torch {torch.__version__} CPU f32, "
        f"scipy {scipy.__version__}",
        "tolerance": {"abs": 1e-4, "rel": 1e-4, "dtype": "f32", "rule": "|a-b| <= abs + rel*|b|"},
        "notes": [
            "weights and pictures are functions of names and places (make.py), so that neither is stored",
            "no pixel and no weight comes from a published file",
            "the features are those of pictures 0..8; the distance is between 0..4 and 4..8",
        ],
        "sizes": [{"width": w, "height": h} for w, h in SIZES],
        "expected": {"fid": exact(a, b), "fid_pytorch_fid": published_fid},
        "tensors": {"features": {"shape": list(features.shape), "dtype": "f32"}},
    }
    (HERE / "case.json").write_text(json.dumps(case, indent=1) + "\n")
    print(features.min(), features.max(), features.std(0).mean(), case["expected"])


main()
