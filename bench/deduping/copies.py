"""Makes copies of photos as the web makes them. Runs in the virtual environment, which has Pillow.

    python copies.py PHOTOS OUT

Each photo is first brought to 1024 pixels: `original/NAME--original.png`. Every other file, `KIND/NAME--KIND.FORMAT`, is made
from that one. What is of one colour all over, to the eye (wallpapers that are transparent but for a pattern in white), is no photo.
"""
import pathlib
import sys

from PIL import Image, ImageEnhance, ImageOps

SIDE = 1024
# Nothing is to be seen where the values of each colour differ by no more than that.
BLANK = 7


def original(path):
    """A photo over white, at most 1024 pixels long."""
    photo = Image.open(path)
    photo.draft("RGB", (2 * SIDE, 2 * SIDE))
    photo = photo.convert("RGBA")
    over = Image.new("RGBA", photo.size, "white")
    over.alpha_composite(photo)
    photo = over.convert("RGB")
    photo.thumbnail((SIDE, SIDE), Image.LANCZOS)
    return photo


def scaled(photo, side, method=Image.LANCZOS):
    small = photo.copy()
    small.thumbnail((side, side), method)
    return small


def cropped(photo, share):
    """Without `share` of each side."""
    dx, dy = round(photo.width * share), round(photo.height * share)
    return photo.crop((dx, dy, photo.width - dx, photo.height - dy))


def bordered(photo, side, colour):
    """Small, with a border of one pixel."""
    return ImageOps.expand(scaled(photo, side), 1, colour)


def same(photo):
    return photo


PNG = {"format": "PNG"}


def jpeg(quality):
    return {"format": "JPEG", "quality": quality}


# Copies that are asked for: what is done to them, and how they are saved.
ASKED = {
    "resized to 512": (lambda photo: scaled(photo, 512), PNG),
    "resized to 300, bilinear": (lambda photo: scaled(photo, 300, Image.BILINEAR), PNG),
    "resized to 160": (lambda photo: scaled(photo, 160), PNG),
    "JPEG of quality 75": (same, jpeg(75)),
    "JPEG of quality 50": (same, jpeg(50)),
    "JPEG of quality 20": (same, jpeg(20)),
    "WebP of quality 50": (same, {"format": "WEBP", "quality": 50}),
    "1-px border, white": (lambda photo: bordered(photo, 512, "white"), PNG),
    "1-px border, black": (lambda photo: bordered(photo, 512, "black"), PNG),
    "resized to 300, 1-px border, JPEG of quality 50": (lambda photo: bordered(photo, 300, "black"), jpeg(50)),
}
# What else happens to pictures; shown, not asked for.
OTHERS = {
    "brighter by 20 %": (lambda photo: ImageEnhance.Brightness(photo).enhance(1.2), PNG),
    "grey": (lambda photo: ImageOps.grayscale(photo).convert("RGB"), PNG),
    "1 % cropped from each side": (lambda photo: cropped(photo, 0.01), PNG),
    "5 % cropped from each side": (lambda photo: cropped(photo, 0.05), PNG),
    "mirrored": (ImageOps.mirror, PNG),
}
KINDS = {**ASKED, **OTHERS}
ORIGINAL = "original"


def main(photos, out):
    for kind in [ORIGINAL, *KINDS]:
        (out / kind).mkdir(parents=True)
    for path in sorted(photos.iterdir()):
        if path.suffix not in (".jpg", ".png", ".webp"):
            continue
        photo = original(path)
        if all(high - low <= BLANK for low, high in photo.getextrema()):
            print(f"left out, of one colour: {path.name}")
            continue
        # Names must differ without their ending.
        name = path.name.replace(".", "_")
        photo.save(out / ORIGINAL / f"{name}--{ORIGINAL}.png")
        for kind, (copy, how) in KINDS.items():
            copy(photo).save(out / kind / f"{name}--{kind}.{how['format'].lower()}", **how)


if __name__ == "__main__":
    Image.MAX_IMAGE_PIXELS = None
    main(*map(pathlib.Path, sys.argv[1:]))
