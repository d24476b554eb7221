"""Writes the fixtures dalle-pytorch-plain and dalle-pytorch-full beside this folder.

pip install torch dalle-pytorch==1.6.6 rotary-embedding-torch==0.1.5 axial-positional-embedding==0.2.1 einops safetensors
(--no-deps for dalle-pytorch: what only its pretrained codecs need is replaced by empty modules below).
"""

import json
import sys
from pathlib import Path
from unittest.mock import MagicMock

import torch

absent = ("taming", "taming.models", "taming.models.vqgan", "omegaconf", "requests", "tqdm", "yaml")
sys.modules |= {name: MagicMock() for name in absent}
import dalle_pytorch

for name in absent:
    del sys.modules[name]
from safetensors.torch import save_file

VAE = dict(image_size=16, num_layers=2, num_tokens=30, codebook_dim=4, hidden_dim=4, num_resnet_blocks=0)
GRID = VAE["image_size"] >> VAE["num_layers"]
PRIMED, SCALE = 6, 3.0
# As train_dalle.py fills hparams: "plain" has the defaults of its command line, at a small size.
PLAIN = dict(
    num_text_tokens=40, text_seq_len=8, dim=24, depth=2, heads=2, dim_head=16, reversible=False, loss_img_weight=7,
    attn_types=("full",), ff_dropout=0.0, attn_dropout=0.0, stable=False, shift_tokens=False, rotary_emb=False,
    shared_attn_ids=None, shared_ff_ids=None, share_input_output_emb=False,
)
FULL = PLAIN | dict(
    depth=6, dim_head=22, loss_img_weight=5, attn_types=("full", "axial_row", "axial_col", "conv_like"), stable=True,
    shift_tokens=True, rotary_emb=True, shared_attn_ids=(0, 1, 2, 3), shared_ff_ids=(0, 1, 2),
    share_input_output_emb=True, sandwich_norm=True,
)


def random_weights(model):
    for name, parameter in model.named_parameters():
        noise = torch.randn_like(parameter)
        gain = name.endswith(("norm.weight", "norm_out.weight", "to_logits.0.weight", "scale"))
        bias = name.endswith("bias")
        embedding = "emb" in name or name.startswith("to_logits.1")
        width = 0.2 if gain or bias else 1.0 if embedding else 1.5 / parameter.shape[-1] ** 0.5
        parameter.data = (0.7 if gain else 0.0) + width * noise


def greedy(step, length):
    """Codes that `step`, a function from codes so far to the next logits, finds best, and the smallest lead of one."""
    codes, gap = torch.zeros(1, 0, dtype=torch.long), float("inf")
    while codes.shape[1] < length:
        best = step(codes).topk(2)
        gap = min(gap, (best.values[0, 0] - best.values[0, 1]).item())
        codes = torch.cat((codes, best.indices[:, :1]), 1)
    return codes[0], gap


def write(case, hparams, seed):
    torch.manual_seed(seed)
    vae = dalle_pytorch.DiscreteVAE(**VAE)
    model = dalle_pytorch.DALLE(vae=vae, **hparams).eval()
    random_weights(model)
    words, texts, places = hparams["num_text_tokens"], hparams["text_seq_len"], GRID * GRID
    total_text = words + texts
    text = torch.randint(1, words, (3, texts))
    text[0, 5:], text[1, 3:] = 0, 0
    codes = torch.randint(0, VAE["num_tokens"], (3, places))
    out, states = {"text": text.clone(), "codes": codes.clone()}, []
    # The branches of a layer are added to what came before them.
    hooks = [model.transformer.register_forward_pre_hook(lambda _, args: states.append(args[0].clone()))]
    for layer in model.transformer.layers.layers:
        hooks += [branch.register_forward_hook(lambda _, __, y: states.append(y)) for branch in layer]
    with torch.no_grad():
        logits = model(text[:1], codes[:1])
        out["embeddings"], out["logits"] = states[0].clone(), logits.clone()
        for index in range(hparams["depth"]):
            out[f"hidden.{index}"] = sum(states[: 3 + 2 * index]).clone()
        for hook in hooks:
            hook.remove()
        image = model(text, codes)[:, texts:, total_text:]
        out["image_logits"] = image.clone()
        out["null_logits"] = model(torch.zeros_like(text[:1]))[:, -1, total_text:].clone()

        vae.decode, vae.get_codebook_indices = (lambda drawn: drawn), (lambda _: codes[:1])
        draw = lambda **options: model.generate_images(text[:1].clone(), filter_thres=0.999999, **options)[0]
        out["greedy_codes"] = draw()
        picture = torch.zeros(1, 3, VAE["image_size"], VAE["image_size"])
        out["primed_codes"] = draw(img=picture, num_init_img_tokens=PRIMED)

        # forward() zeroes the text that it is given for the null condition, so each call gets a copy.
        at = lambda codes, null: model(text[:1].clone(), codes, null_cond_prob=null)[:, -1, total_text:]
        out["guided_codes"], guided_gap = greedy(
            lambda codes: at(codes, 1.0) + (at(codes, 0.0) - at(codes, 1.0)) * SCALE, places
        )
        _, gap = greedy(lambda codes: at(codes, 0.0), places)
    assert min(gap, guided_gap) > 1e-3, "a tie: choose another seed"

    expected = {"greedy_gap": gap, "guided_gap": guided_gap}
    cross = torch.nn.functional.cross_entropy
    with torch.no_grad():
        logits = model(text, codes)
        labels = torch.where(text == 0, torch.arange(texts) + words, text)
        expected["loss_text"] = cross(logits[:, :texts].flatten(0, 1), labels.flatten()).item()
        expected["loss_image"] = cross(logits[:, texts:].flatten(0, 1), (codes + total_text).flatten()).item()
        for row in range(3):
            loss = model(text[row : row + 1], codes[row : row + 1], return_loss=True)
            expected[f"sample_{row}"] = {"loss": loss.item()}
    loss = model(text, codes, return_loss=True)
    loss.backward()
    expected["loss"] = loss.item()
    trained = {name: p for name, p in model.named_parameters() if not name.startswith("vae.")}
    expected["grad_l2"] = {name: parameter.grad.double().norm().item() for name, parameter in trained.items()}

    folder = Path(__file__).parent.parent / case
    folder.mkdir(exist_ok=True)
    optimizer = torch.optim.Adam(trained.values(), lr=3e-4)
    saved = {
        "hparams": hparams, "vae_params": VAE, "epoch": 0, "version": "1.6.6", "vae_class_name": "DiscreteVAE",
        "weights": model.state_dict(), "opt_state": optimizer.state_dict(), "scheduler_state": None,
    }
    torch.save(saved, folder / "dalle.pt")
    tensors = {name: tensor.contiguous() for name, tensor in out.items()}
    save_file(tensors, folder / "io.safetensors")
    (folder / "case.json").write_text(json.dumps(described(case, hparams, expected, tensors), indent=1) + "\n")


def described(case, hparams, expected, tensors):
    return {
        "case": case,
        "model": "dalle-pytorch",
        "reference": f"lucidrains/DALLE-pytorch 1.6.6 (PyPI dalle-pytorch), torch {torch.__version__} CPU f32",
        "made_by": "dalle-pytorch/make.py",
        "tolerance": {"abs": 1e-4, "rel": 1e-4, "dtype": "f32", "rule": "|a-b| <= abs + rel*|b|", "integers": "exact"},
        "checkpoint": {
            "file": "dalle.pt", "container": "torch.save zip, as train_dalle.py writes it", "dtype": "f32",
            "skip_keys": ["vae.*", "transformer.pos_emb"],
        },
        "config": hparams | {"image_size": GRID, "num_image_tokens": VAE["num_tokens"]},
        "inputs": {"batch": 3, "num_init_img_tokens": PRIMED, "cond_scale": SCALE, "dropout": "off (eval)"},
        "notes": [
            "logits: of sample 0, forbidden ones at -max; image_logits: of all samples, at the positions that predict a code",
            "null_logits: after a text of zeros, sample 0; guided_codes: null + (cond - null) * cond_scale, text kept whole "
            "(generate_images of 1.6.6 zeroes it in place from the second step on)",
            "primed_codes: the first num_init_img_tokens codes of sample 0 given",
            "grad_l2: for the whole batch, eval mode; shared parameters once, under the first of their names",
        ],
        "expected": expected,
        "tensors": {name: {"shape": list(t.shape), "dtype": str(t.dtype).split(".")[1]} for name, t in tensors.items()},
    }


if __name__ == "__main__":
    write("dalle-pytorch-plain", PLAIN, 1)
    write("dalle-pytorch-full", FULL, 2)
