"""Makes the pictures beside it, with Pillow 11.3. Every one shows the same four squares: red and green over blue and
grey, each 8 x 8 pixels; what differs is how they are stored. The two colour profiles are made here, too."""

import os
import struct

from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
RED, GREEN, BLUE, GREY = (200, 30, 30), (30, 160, 60), (40, 60, 200), (128, 128, 128)


def squares(colours=(RED, GREEN, BLUE, GREY), mode="RGB"):
    image = Image.new(mode, (16, 16))
    for i, colour in enumerate(colours):
        image.paste(colour, (i % 2 * 8, i // 2 * 8, i % 2 * 8 + 8, i // 2 * 8 + 8))
    return image


def profile(space, connection, tags):
    """An ICC profile of version 2: header, tag table, tags."""
    table, data, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, tag in tags:
        tag += b"\0" * (-len(tag) % 4)
        table += name + struct.pack(">II", at + len(data), len(tag))
        data += tag
    d50 = struct.pack(">iii", 63190, 65536, 54061)
    header = struct.pack(">I4xI4s4s4s12x4s4x4x4x4x8xI", at + len(data), 0x02200000, b"scnr", space, connection, b"acsp", 0)
    header += d50 + b"\0" * (128 - len(header) - len(d50))
    return header + struct.pack(">I", len(tags)) + table + data


def xyz(x, y, z):
    return b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(v * 65536) for v in (x, y, z)))


TEXT = [(b"desc", b"desc" + struct.pack(">4xI5s", 5, b"test\0") + b"\0" * 79), (b"cprt", b"text\0\0\0\0none\0")]
# sRGB's primaries, adapted to D50, with red and green exchanged; its curve as a power.
CURVE = b"curv" + struct.pack(">4xIH", 1, round(2.2 * 256))
EXCHANGED = profile(b"RGB ", b"XYZ ", TEXT + [
    (b"wtpt", xyz(0.9642, 1, 0.8249)),
    (b"rXYZ", xyz(0.3851, 0.7169, 0.0971)), (b"gXYZ", xyz(0.4361, 0.2225, 0.0139)), (b"bXYZ", xyz(0.1431, 0.0606, 0.7141)),
    (b"rTRC", CURVE), (b"gTRC", CURVE), (b"bTRC", CURVE)])
# Inks of which black alone is seen: Lab values at the sixteen corners.
RAMP = bytes(range(256))
CORNERS = b"".join(bytes((0 if i & 1 else 255, 128, 128)) for i in range(16))
IDENTITY = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
LUT = b"mft1" + struct.pack(">4xBBBx", 4, 3, 2) + IDENTITY + RAMP * 4 + CORNERS + RAMP * 3
ONLY_BLACK = profile(b"CMYK", b"Lab ", TEXT + [(b"wtpt", xyz(0.9642, 1, 0.8249)), (b"A2B0", LUT)])


def save(name, image, **options):
    image.save(os.path.join(HERE, name), **options)


def main():
    picture = squares()
    inks = squares([tuple(255 - v for v in c) + (0,) for c in (RED, GREEN, BLUE, GREY)], "CMYK")
    black = squares([(255, 0, 200, 0), (0, 90, 0, 255), (0, 0, 0, 128), (255, 255, 255, 0)], "CMYK")
    jpeg = {"quality": 95, "subsampling": 0}
    save("progressive-restarts.jpg", picture, progressive=True, restart_marker_blocks=1, **jpeg)
    save("rgb.jpg", picture, keep_rgb=True, quality=95)
    save("inks.jpg", inks, quality=95)
    save("inks.tif", inks, compression="tiff_lzw")
    save("inks-profile.jpg", black, quality=95, icc_profile=ONLY_BLACK)
    save("inks-profile.tif", black, icc_profile=ONLY_BLACK)
    exchanged = squares([(c[1], c[0], c[2]) for c in (RED, GREEN, BLUE, GREY)])
    save("profile.jpg", exchanged, icc_profile=EXCHANGED, **jpeg)
    save("profile.png", exchanged, icc_profile=EXCHANGED)
    save("profile.webp", exchanged, icc_profile=EXCHANGED, lossless=True)
    save("profile.tif", exchanged, icc_profile=EXCHANGED)
    palette = picture.quantize(4)
    save("palette-transparent.png", palette, transparency=palette.getpixel((12, 12)))
    save("palette.bmp", palette)
    other = squares((GREY, BLUE, GREEN, RED))
    save("animated.gif", palette, save_all=True, append_images=[other.quantize(4)], duration=50)
    save("animated.webp", picture, save_all=True, append_images=[other], duration=50, lossless=True)
    exif = Image.Exif()
    exif[0x112] = 6
    save("lying.webp", picture.transpose(Image.Transpose.ROTATE_90), exif=exif, lossless=True)
    grey = Image.new("I;16", (16, 16))
    for i, value in enumerate((0x2000, 0x8000, 0xC000, 0xFFFF)):
        for x, y in ((x, y) for x in range(8) for y in range(8)):
            grey.putpixel((i % 2 * 8 + x, i // 2 * 8 + y), value)
    save("grey16.png", grey)


if __name__ == "__main__":
    main()
