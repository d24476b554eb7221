"""Sets of JPEG files cut from photos. Runs under the virtual environment's Python: needs Pillow.

    python -m crawling.pictures PHOTOS OUT COUNT SMALLEST LARGEST [SIDE SIDE]

Cuts COUNT pieces of SMALLEST to LARGEST megapixels (or of exactly SIDE × SIDE pixels) from the photos of a folder,
scales them down to size and stores them as 4:2:0 JPEG of quality 85 to 92, as cameras and sites do. The same call
writes the same files. Without photos (PHOTOS is `-`) it makes pictures with a photo's spectrum, 1/f noise over smooth
shapes: their entropy is near that of photos, but not the same, and the results say so.
"""
import pathlib
import random
import sys

import numpy
from PIL import Image

ASPECTS = [(4, 3), (3, 2), (16, 9), (3, 4), (1, 1)]


def spectral(rng, width, height):
    """A picture whose amplitudes fall as 1/f, as those of natural scenes do."""
    y, x = numpy.fft.fftfreq(height)[:, None], numpy.fft.rfftfreq(width)[None, :]
    fall = 1 / numpy.maximum(numpy.hypot(x, y), 1 / max(width, height)) ** 1.2
    light = plane(rng, fall, (height, width))
    planes = [light + 0.3 * plane(rng, fall, (height, width)) for _ in range(3)]
    return Image.fromarray(numpy.clip(128 + 55 * numpy.stack(planes, 2), 0, 255).astype("uint8"))


def plane(rng, fall, shape):
    """One channel with mean 0 and deviation 1."""
    phases = rng.uniform(0, 2 * numpy.pi, fall.shape)
    values = numpy.fft.irfft2(fall * numpy.exp(1j * phases), s=shape)
    return (values - values.mean()) / values.std()


def sources(photos):
    """The photos, or sixteen made ones."""
    if photos == "-":
        rng = numpy.random.default_rng(7)
        return [spectral(rng, 3200, 2400) for _ in range(16)]
    found = []
    for path in sorted(pathlib.Path(photos).iterdir()):
        if path.suffix.lower() in {".jpg", ".jpeg"}:
            with Image.open(path) as picture:
                # A whole set in memory: half size is enough for pieces of up to 4 megapixels.
                picture.thumbnail((4000, 4000))
                found.append(picture.convert("RGB"))
    if not found:
        sys.exit(f"{photos}: no .jpg files")
    return found


def piece(photo, rng, width, height):
    """A random part of the photo with the aspect of the target, scaled to it; never enlarged by more than a quarter."""
    most = min(photo.width / width, photo.height / height)
    scale = rng.uniform(min(most, 0.8), most)
    across, down = min(int(width * scale), photo.width), min(int(height * scale), photo.height)
    left, top = rng.randint(0, photo.width - across), rng.randint(0, photo.height - down)
    return photo.resize((width, height), Image.Resampling.LANCZOS, (left, top, left + across, top + down))


def sides(rng, smallest, largest):
    """Width and height between so many megapixels."""
    area, (x, y) = 1e6 * rng.uniform(smallest, largest), rng.choice(ASPECTS)
    unit = (area / (x * y)) ** 0.5
    return round(x * unit), round(y * unit)


def main(photos, out, count, smallest, largest, *fixed):
    rng, out = random.Random(11), pathlib.Path(out)
    pictures = sources(photos)
    out.mkdir(parents=True, exist_ok=True)
    for n in range(int(count)):
        width, height = map(int, fixed) if fixed else sides(rng, float(smallest), float(largest))
        photo = pictures[n % len(pictures)]
        piece(photo, rng, width, height).save(out / f"{n:05}.jpg", quality=rng.randint(85, 92), subsampling="4:2:0")
    (out / "source.txt").write_text("1/f noise\n" if photos == "-" else f"{len(pictures)} photos\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
