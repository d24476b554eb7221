"""taming's VQGAN in PyTorch, written after Esser et al. 2021 (arXiv:2012.09841, table 7) under the published names. Runs in the virtual environment.

    python peer.py CONFIG.json WEIGHTS.safetensors PIXELS.f32 --side 128 --batch 16 --threads 2 --way eager --rounds 3 [--codes FILE]

CONFIG has the keys of our VqGanConfig. Prints JSON: pictures per second of each round, encoding and decoding. `--codes` writes the codes of
the first batch as u16. PIXELS holds batch × 3 × side × side floats.
"""
import argparse
import json
import pathlib
import time

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F


def norm(channels, groups):
    return nn.GroupNorm(groups, channels, eps=1e-6)


def conv(inputs, outputs, side=3, **more):
    return nn.Conv2d(inputs, outputs, side, padding=side // 2 if "stride" not in more else 0, **more)


class Residual(nn.Module):
    def __init__(self, inputs, outputs, groups):
        super().__init__()
        self.norm1, self.conv1 = norm(inputs, groups), conv(inputs, outputs)
        self.norm2, self.conv2 = norm(outputs, groups), conv(outputs, outputs)
        if inputs != outputs:
            self.nin_shortcut = conv(inputs, outputs, 1)

    def forward(self, x):
        y = self.conv1(F.silu(self.norm1(x)))
        y = self.conv2(F.silu(self.norm2(y)))
        return y + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class Attention(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.norm = norm(channels, groups)
        self.q, self.k, self.v, self.proj_out = (conv(channels, channels, 1) for _ in range(4))

    def forward(self, x):
        normed = self.norm(x)
        # [b, 1, h·w, c]: one head over all positions
        q, k, v = (layer(normed).flatten(2).transpose(1, 2).unsqueeze(1) for layer in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2).reshape(x.shape)
        return x + self.proj_out(y)


class Resample(nn.Module):
    def __init__(self, channels, halve):
        super().__init__()
        self.halve, self.conv = halve, conv(channels, channels, **({"stride": 2} if halve else {}))

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)) if self.halve else F.interpolate(x, scale_factor=2.0))


class Level(nn.Module):
    def __init__(self, inputs, outputs, blocks, attention, groups):
        super().__init__()
        self.block = nn.ModuleList(Residual(inputs if i == 0 else outputs, outputs, groups) for i in range(blocks))
        self.attn = nn.ModuleList(Attention(outputs, groups) for _ in range(blocks if attention else 0))

    def forward(self, x):
        for i, block in enumerate(self.block):
            x = block(x)
            if len(self.attn) > 0:
                x = self.attn[i](x)
        return x


class Middle(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.block_1, self.block_2 = (Residual(channels, channels, groups) for _ in range(2))
        self.attn_1 = Attention(channels, groups)

    def forward(self, x):
        return self.block_2(self.attn_1(self.block_1(x)))


def widths(config):
    return [config["ch"] * times for times in config["ch_mult"]]


def attended(config, level):
    return config["resolution"] >> level in config["attn_resolutions"]


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        groups, blocks, channels = config["groups"], config["num_res_blocks"], config["ch"]
        self.conv_in, self.down = conv(3, channels), nn.ModuleList()
        for i, width in enumerate(widths(config)):
            level = Level(channels, width, blocks, attended(config, i), groups)
            if i + 1 < len(config["ch_mult"]):
                level.downsample = Resample(width, True)
            self.down.append(level)
            channels = width
        self.mid, self.norm_out = Middle(channels, groups), norm(channels, groups)
        self.conv_out = conv(channels, config["z_channels"])

    def forward(self, x):
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
            if hasattr(level, "downsample"):
                x = level.downsample(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        groups, blocks = config["groups"], config["num_res_blocks"] + 1
        channels, up = widths(config)[-1], []
        self.conv_in, self.mid = conv(config["z_channels"], channels), Middle(channels, groups)
        for i, width in reversed(list(enumerate(widths(config)))):
            level = Level(channels, width, blocks, attended(config, i), groups)
            if i > 0:
                level.upsample = Resample(width, False)
            up.insert(0, level)
            channels = width
        self.up = nn.ModuleList(up)
        self.norm_out, self.conv_out = norm(channels, groups), conv(channels, 3)

    def forward(self, z):
        x = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            x = level(x)
            if hasattr(level, "upsample"):
                x = level.upsample(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Codebook(nn.Module):
    def __init__(self, config):
        super().__init__()
        if config["quantizer"] == "gumbel":
            self.proj = conv(config["embed_dim"], config["n_embed"], 1)
            self.embed = nn.Embedding(config["n_embed"], config["embed_dim"])
        else:
            self.embedding = nn.Embedding(config["n_embed"], config["embed_dim"])

    def forward(self, z):
        if hasattr(self, "proj"):
            return self.proj(z).argmax(1)
        rows, table = z.permute(0, 2, 3, 1).flatten(0, 2), self.embedding.weight
        distance = torch.addmm((table * table).sum(1), rows, table.t(), alpha=-2)
        return distance.argmin(1).view(z.shape[0], *z.shape[2:])

    def rows(self, codes):
        table = self.embed if hasattr(self, "embed") else self.embedding
        return table(codes).permute(0, 3, 1, 2)


class VqGan(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.encoder, self.decoder, self.quantize = Encoder(config), Decoder(config), Codebook(config)
        self.quant_conv = conv(config["z_channels"], config["embed_dim"], 1)
        self.post_quant_conv = conv(config["embed_dim"], config["z_channels"], 1)

    def encode(self, x):
        return self.quantize(self.quant_conv(self.encoder(x)))

    def decode(self, codes):
        return self.decoder(self.post_quant_conv(self.quantize.rows(codes)))


def timed(work, count, rounds):
    """Pictures and CPU seconds per picture of each round, after one that does not count."""
    work()
    found = []
    for _ in range(rounds):
        wall, cpu = time.monotonic(), time.process_time()
        work()
        found.append((count / (time.monotonic() - wall), (time.process_time() - cpu) / count))
    return {"per_second": [one[0] for one in found], "cpu": [one[1] for one in found]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=pathlib.Path)
    parser.add_argument("weights", type=pathlib.Path)
    parser.add_argument("pixels", type=pathlib.Path)
    for name, value in [("side", 128), ("batch", 16), ("threads", 2), ("rounds", 3)]:
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--way", choices=["eager", "channels_last", "compile"], default="eager")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--codes", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = VqGan(json.loads(args.config.read_text())).eval()
    model.load_state_dict(load_file(args.weights))
    pixels = torch.frombuffer(bytearray(args.pixels.read_bytes()), dtype=torch.float32)
    pixels = pixels.reshape(-1, 3, args.side, args.side)[: args.batch].to(args.device)
    layout = torch.contiguous_format if args.way == "eager" else torch.channels_last
    model, pixels = model.to(args.device, memory_format=layout), pixels.contiguous(memory_format=layout)
    encode, decode = model.encode, model.decode
    if args.way == "compile":
        encode, decode = torch.compile(encode), torch.compile(decode)
    with torch.inference_mode():
        codes = encode(pixels)
        if args.codes:
            args.codes.write_bytes(b"".join(int(code).to_bytes(2, "little") for code in codes.flatten()))
        print(json.dumps({
            "torch": torch.__version__,
            "encode": timed(lambda: encode(pixels), args.batch, args.rounds),
            "decode": timed(lambda: decode(codes), args.batch, args.rounds),
        }))


if __name__ == "__main__":
    main()
