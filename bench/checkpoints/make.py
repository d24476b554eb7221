"""Writes a checkpoint of ruDALL-E Malevich's layout (1310.4M parameters, fp16, with its mask buffers) of random numbers.

    python make.py FILE
"""
import sys

import torch

LAYERS, DIM, TEXT, GRID, V_TEXT, V_IMAGE = 24, 2048, 128, 32, 16512, 8192
NORMS = ["input_layernorm", "before_first_addition_layernorm", "before_second_addition_layernorm", "post_attention_layernorm"]


def shapes():
    """Keys and shapes in the order of the published file."""
    yield "text_embeddings.weight", (V_TEXT, DIM)
    yield "image_embeddings.weight", (V_IMAGE, DIM)
    yield "text_pos_embeddings.weight", (TEXT + 1, DIM)
    yield "image_row_embeddings.weight", (GRID, DIM)
    yield "image_col_embeddings.weight", (GRID, DIM)
    for part in ["weight", "bias"]:
        yield f"to_logits.0.{part}", (DIM,)
    yield "to_logits.1.weight", (V_TEXT + V_IMAGE, DIM)
    yield "to_logits.1.bias", (V_TEXT + V_IMAGE,)
    for layer in range(LAYERS):
        name = f"transformer.layers.{layer}"
        for norm in NORMS:
            for part in ["weight", "bias"]:
                yield f"{name}.{norm}.{part}", (DIM,)
        for linear, rows, columns in [
            ("attention.query_key_value", 3 * DIM, DIM), ("attention.dense", DIM, DIM),
            ("mlp.dense_h_to_4h", 4 * DIM, DIM), ("mlp.dense_4h_to_h", DIM, 4 * DIM),
        ]:
            yield f"{name}.{linear}.weight", (rows, columns)
            yield f"{name}.{linear}.bias", (rows,)
    for part in ["weight", "bias"]:
        yield f"transformer.final_layernorm.{part}", (DIM,)


def main():
    torch.manual_seed(0)
    state = {key: torch.empty(shape, dtype=torch.float32).normal_(0, 0.02).half() for key, shape in shapes()}
    side = TEXT + GRID * GRID
    for mask in ["row_mask", "col_mask", "conv_mask"]:
        state[f"transformer.{mask}"] = torch.ones(side, side, dtype=torch.bool).tril()
    torch.save(state, sys.argv[1])


if __name__ == "__main__":
    main()
