#!/usr/bin/env python3
"""Makes tests/golden/images: small pictures of every kind, good and bad, and what Pillow makes of them.

    python weights_tools/golden/make_images.py tests/golden/images

Needs Pillow and numpy. Writes beside the pictures
  decode.txt  one line per file:
                NAME ok WIDTH HEIGHT CRC32   of ImageOps.exif_transpose(open(f)).convert("RGB")
                NAME refused WORD            WORD must stand in our error's reason
  encode.txt  NAME QUALITY CRC32: the picture NAME, saved by Pillow as JPEG of that quality and opened again
  *.rgb       the expected pixels of a few files, for a comparison that can say where a difference is
Where EXIF data make Pillow itself fail, the picture as stored is expected: we ignore such data.
Everything but the JPEG bytes (which depend on Pillow's libjpeg-turbo) comes out the same on every run.
"""
import io
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, __version__

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "tests/golden/images")
RNG = np.random.default_rng(20250307)
DECODE, ENCODE = [], []
RAW = {"rgb_420.jpg", "rgb8_adam7.png"}


def picture(height, width, channels=3):
    """Smooth colors, an edge and some noise: all that upsampling and rounding can get wrong."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    planes = []
    for c in range(channels):
        plane = 128 + 90 * np.sin(x / (3 + c) + y / (7 - c)) + RNG.normal(0, 12, (height, width))
        plane[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(height, width) / 4) ** 2] += 80 - 50 * c
        planes.append(plane)
    array = np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)
    return array[..., 0] if channels == 1 else array


def expected(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        except (SyntaxError, ValueError, struct.error) as error:
            print("  Pillow gives up on this EXIF:", repr(error)[:60])
            image = Image.open(io.BytesIO(data))
        return np.asarray(image.convert("RGB"))


def good(name, data):
    print(name)
    pixels = expected(data)
    (OUT / name).write_bytes(data)
    if name in RAW:
        (OUT / (name + ".rgb")).write_bytes(pixels.tobytes())
    DECODE.append(f"{name} ok {pixels.shape[1]} {pixels.shape[0]} {zlib.crc32(pixels.tobytes()):08x}")


def refused(name, data, word):
    (OUT / name).write_bytes(data)
    DECODE.append(f"{name} refused {word}")


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# -- JPEG --

def jpeg_segments(data):
    """[(marker, content)] up to the scan, and the rest."""
    at, segments = 2, []
    while data[at + 1] != 0xDA:
        size = struct.unpack(">H", data[at + 2:at + 4])[0]
        segments.append((data[at + 1], data[at + 4:at + 2 + size]))
        at += 2 + size
    return segments, data[at:]


def jpeg_join(segments, rest):
    parts = [struct.pack(">BBH", 0xFF, kind, len(content) + 2) + content for kind, content in segments]
    return b"\xff\xd8" + b"".join(parts) + rest


def jpeg_with(data, *contents):
    """The JPEG with APP1 segments put in front."""
    segments, rest = jpeg_segments(data)
    return jpeg_join([(0xE1, c) for c in contents] + segments, rest)


def jpegs():
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        image = Image.fromarray(picture(47, 61))
        good(f"rgb_{name}.jpg", saved(image, "JPEG", subsampling=sampling))
        data = saved(image, "JPEG", subsampling=sampling, progressive=True, quality=90)
        good(f"rgb_{name}_progressive.jpg", data)
    for height, width in ((1, 1), (1, 17), (17, 1), (2, 2), (8, 16), (16, 8), (31, 37)):
        good(f"size_{width}x{height}.jpg", saved(Image.fromarray(picture(height, width)), "JPEG", quality=90))
    image = Image.fromarray(picture(29, 43))
    good("rgb_restart.jpg", saved(image, "JPEG", restart_marker_blocks=1))
    good("rgb_optimize.jpg", saved(image, "JPEG", optimize=True, quality=30))
    good("rgb_kept.jpg", saved(image, "JPEG", keep_rgb=True, quality=95))
    good("rgb_q1.jpg", saved(image, "JPEG", quality=1))
    good("grey.jpg", saved(image.convert("L"), "JPEG"))
    good("grey_progressive.jpg", saved(image.convert("L"), "JPEG", progressive=True))
    good("junk_after_end.jpg", saved(image, "JPEG") + b"junk" * 5)
    cmyk = Image.fromarray(picture(29, 43, 4), "CMYK")
    data = saved(cmyk, "JPEG", quality=95)
    segments, rest = jpeg_segments(data)
    good("cmyk_adobe.jpg", data)
    good("cmyk_progressive.jpg", saved(cmyk, "JPEG", progressive=True))
    good("cmyk_plain.jpg", jpeg_join([s for s in segments if s[0] != 0xEE], rest))
    adobe = [(m, c[:11] + b"\x02" if m == 0xEE else c) for m, c in segments]
    good("ycck_adobe.jpg", jpeg_join(adobe, rest))
    segments, rest = jpeg_segments(saved(image, "JPEG"))
    two = [(m, c[:5] + b"\x02" + c[6:12] if m == 0xC0 else c) for m, c in segments]
    refused("two_channels.jpg", jpeg_join(two, rest), "JPEG")
    deep = [(m, b"\x0c" + c[1:] if m == 0xC0 else c) for m, c in segments]
    refused("twelve_bits.jpg", jpeg_join(deep, rest), "8")


# -- EXIF --

def tiff(entries, order="<", first=8, tail=b"", count=None):
    """entries: (tag, type, count, 4 bytes of value or offset)."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", first)
    body = struct.pack(order + "H", len(entries) if count is None else count)
    for tag, kind, number, value in entries:
        body += struct.pack(order + "HHI", tag, kind, number) + value
    return head + body + struct.pack(order + "I", 0) + tail


def short(value, order="<"):
    return struct.pack(order + "HH", value, 0)


def long(value, order="<"):
    return struct.pack(order + "I", value)


def odd_exif():
    turn = (274, 3, 1, short(6))
    yield "orientation_0", tiff([(274, 3, 1, short(0))])
    yield "orientation_9", tiff([(274, 3, 1, short(9))])
    yield "type_byte", tiff([(274, 1, 1, b"\6\0\0\0")])
    yield "type_ascii", tiff([(274, 2, 2, b"6\0\0\0")])
    yield "type_long", tiff([(274, 4, 1, long(6))])
    yield "type_sshort", tiff([(274, 8, 1, short(6))])
    yield "type_sbyte", tiff([(274, 6, 1, b"\6\0\0\0")])
    yield "type_slong_big", tiff([(274, 9, 1, long(8, ">"))], ">")
    yield "type_float", tiff([(274, 11, 1, struct.pack("<f", 6))])
    yield "type_double", tiff([(274, 12, 1, long(26))], tail=struct.pack("<d", 6))
    yield "type_rational", tiff([(274, 5, 1, long(26))], tail=struct.pack("<II", 12, 2))
    yield "type_rational_zero", tiff([(274, 5, 1, long(26))], tail=struct.pack("<II", 12, 0))
    yield "type_long8_big", tiff([(274, 16, 1, long(26, ">"))], ">", tail=struct.pack(">Q", 6))
    yield "type_unknown", tiff([(274, 99, 1, short(6)), (274, 3, 1, short(3))])
    yield "count_2", tiff([(274, 3, 2, struct.pack("<HH", 6, 3))])
    yield "count_0", tiff([(274, 3, 0, short(6))])
    yield "count_huge", tiff([(274, 3, 0xFFFFFFFF, short(6)), turn])
    yield "count_3_outside", tiff([(274, 3, 3, long(26))], tail=struct.pack("<HHH", 8, 1, 1))
    yield "twice", tiff([(274, 3, 1, short(6)), (274, 3, 1, short(3))])
    yield "repeat_beyond", tiff([(270, 2, 4, b"abc\0"), (270, 2, 9, long(5000)), turn])
    yield "value_beyond", tiff([(270, 2, 9, long(20)), turn])
    yield "value_offset_beyond", tiff([(270, 2, 9, long(5000)), turn])
    yield "value_too_large_then_turn", tiff([(270, 2, 5000, long(8)), turn])
    yield "many_entries", tiff([turn], count=65535)
    yield "no_entries", tiff([turn], count=0)
    yield "directory_beyond", tiff([turn], first=5000)
    yield "directory_in_header", tiff([turn], first=0)
    yield "cut_in_entry", tiff([turn])[:16]
    yield "cut_in_header", tiff([turn])[:6]
    yield "bad_mark", b"XX*\0" + tiff([turn])[4:]
    yield "odd_mark", b"II\0*" + tiff([turn])[4:]
    yield "empty", b""
    yield "twice_prefixed", b"Exif\0\0" + tiff([turn])


def exifs():
    image = Image.fromarray(picture(11, 19))
    plain = saved(image, "JPEG", quality=90)
    png = saved(image, "PNG")
    for value in range(1, 9):
        good(f"exif_{value}.jpg", jpeg_with(plain, b"Exif\0\0" + tiff([(274, 3, 1, short(value))])))
        good(f"exif_{value}.png", png_with(png, (b"eXIf", tiff([(274, 3, 1, short(value, ">"))], ">"))))
    small = Image.fromarray(picture(3, 5))
    base, base_png = saved(small, "JPEG", quality=90), saved(small, "PNG")
    for name, exif in odd_exif():
        good(f"exif_{name}.jpg", jpeg_with(base, b"Exif\0\0" + exif))
    exif = b"Exif\0\0" + tiff([(270, 2, 4, b"abc\0"), (274, 3, 1, short(6))])
    good("exif_split.jpg", jpeg_with(base, exif[:20], b"Exif\0\0" + exif[20:]))
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="8"/></x:xmpmeta>'
    adobe = b"http://ns.adobe.com/xap/1.0/\0"
    good("xmp.jpg", jpeg_with(base, adobe + xmp))
    good("xmp_element.jpg", jpeg_with(base, adobe + b"<tiff:Orientation>5</tiff:Orientation>"))
    odd = b"tiff:Orientation=8 tiff:Orientation='7' tiff:Orientation=\"0\""
    good("xmp_odd.jpg", jpeg_with(base, adobe + odd))
    good("xmp_and_exif.jpg", jpeg_with(base, exif, adobe + xmp))
    good("xmp_and_empty_exif.jpg", jpeg_with(base, b"Exif\0\0" + tiff([(270, 2, 4, b"abc\0")]), adobe + xmp))
    profile = b"\nexif\n%8d\n" % len(exif) + exif.hex().encode()
    good("profile_text.png", png_with(base_png, (b"tEXt", b"Raw profile type exif\0" + profile)))
    packed = b"Raw profile type exif\0\0" + zlib.compress(profile)
    good("profile_packed.png", png_with(base_png, (b"zTXt", packed)))
    good("profile_odd.png", png_with(base_png, (b"tEXt", b"Raw profile type exif\0" + profile + b"xyz")))
    good("xmp.png", png_with(base_png, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)))
    good("xmp_packed.png", png_with(base_png, (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp))))
    at = base_png.index(b"IEND") - 4
    turn = chunk(b"eXIf", tiff([(274, 3, 1, short(6))]))
    good("exif_at_end.png", base_png[:at] + turn + base_png[at:])


# -- PNG --

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(data, *chunks):
    """The PNG with chunks put behind its header."""
    return data[:33] + b"".join(chunk(*c) for c in chunks) + data[33:]


PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def paeth(a, b, c):
    distances = [abs(b - c), abs(a - c), abs(a + b - 2 * c)]
    return (a, b, c)[distances.index(min(distances))]


def png_filter(row, above, step, kind):
    out = bytearray([kind])
    for i, value in enumerate(row):
        a = row[i - step] if i >= step else 0
        b = above[i]
        c = above[i - step] if i >= step else 0
        out.append((value - (0, a, b, (a + b) // 2, paeth(a, b, c))[kind]) & 255)
    return bytes(out)


def png_rows(samples, depth):
    """Packed and filtered rows of samples [h,w,channels]; the filters take turns."""
    height, width, channels = samples.shape
    if width == 0:
        return b""
    rows, out = [], b""
    for y in range(height):
        flat = samples[y].reshape(-1)
        if depth == 16:
            rows.append(flat.astype(">u2").tobytes())
        else:
            bits = "".join(format(int(v), f"0{depth}b") for v in flat)
            bits += "0" * (-len(bits) % 8)
            rows.append(bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)))
    above = bytes(len(rows[0])) if rows else b""
    for y, row in enumerate(rows):
        out += png_filter(row, above, max(1, channels * depth // 8), (y * 3 + 4) % 5)
        above = row
    return out


def png_file(samples, depth, color, interlaced=False, extra=b"", cuts=1):
    height, width, _ = samples.shape
    raw = b"".join(png_rows(samples[y::dy, x::dx], depth) for y, x, dy, dx in PASSES) if interlaced else \
        png_rows(samples, depth)
    stream = zlib.compress(raw, 9)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced)))
    step = -(-len(stream) // cuts)
    data = b"".join(chunk(b"IDAT", stream[i:i + step]) for i in range(0, len(stream), step))
    return b"\x89PNG\r\n\x1a\n" + head + extra + data + chunk(b"IEND", b"")


def random_samples(height, width, depth, color):
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    return RNG.integers(0, 1 << depth, (height, width, channels))


def png_header(width, height, depth, color):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))


def pngs():
    names = {0: "grey", 2: "rgb", 3: "palette", 4: "greyalpha", 6: "rgba"}
    kinds = [(depth, color) for color in (0, 3) for depth in (1, 2, 4, 8)]
    kinds += [(depth, color) for color in (2, 4, 6) for depth in (8, 16)]
    for depth, color in kinds:
        palette = b""
        if color == 3:
            palette = chunk(b"PLTE", RNG.integers(0, 256, 3 << depth, dtype=np.uint8).tobytes())
        for interlaced in (False, True):
            name = f"{names[color]}{depth}{'_adam7' if interlaced else ''}.png"
            good(name, png_file(random_samples(13, 11, depth, color), depth, color, interlaced, palette))
    for height, width in ((1, 1), (1, 5), (5, 1), (2, 3), (4, 4), (7, 9)):
        good(f"size_{width}x{height}_adam7.png", png_file(random_samples(height, width, 8, 2), 8, 2, True))
        good(f"size_{width}x{height}_bits.png", png_file(random_samples(height, width, 1, 0), 1, 0, True))
    samples = random_samples(9, 10, 8, 2)
    good("many_idat.png", png_file(samples, 8, 2, cuts=40))
    good("junk_after_end.png", png_file(samples, 8, 2) + b"junk" * 5)
    good("transparent_grey.png", png_file(random_samples(5, 6, 4, 0), 4, 0, extra=chunk(b"tRNS", b"\0\3")))
    extra = chunk(b"tRNS", bytes(6)) + chunk(b"gAMA", long(45455, ">"))
    good("transparent_rgb.png", png_file(samples, 8, 2, extra=extra))
    short_palette = chunk(b"PLTE", bytes([10, 20, 30, 40, 50, 60])) + chunk(b"tRNS", b"\0\x80")
    good("palette_short.png", png_file(random_samples(5, 6, 4, 3), 4, 3, extra=short_palette))
    good("stored.png", saved(Image.fromarray(picture(19, 23)), "PNG", compress_level=0))
    good("smooth.png", saved(Image.fromarray(picture(61, 67)), "PNG"))
    frames = [Image.fromarray(picture(8, 9)) for _ in range(3)]
    for name, default in (("animated", False), ("animated_default", True)):
        options = {"save_all": True, "append_images": frames[1:], "default_image": default}
        good(f"{name}.png", saved(frames[0], "PNG", **options))
    refused("grey16.png", png_file(random_samples(5, 6, 16, 0), 16, 0), "16-bit")
    whole = png_file(samples, 8, 2)
    refused("bad_checksum.png", whole.replace(b"IEND", b"IENE"), "checksum")
    flipped = bytearray(whole)
    flipped[50] ^= 1
    refused("bad_data.png", bytes(flipped), "checksum")
    refused("no_end.png", whole[:-12], "cut")
    refused("no_data.png", whole[:33] + chunk(b"IEND", b""), "no picture")
    refused("no_palette.png", png_file(random_samples(5, 6, 4, 3), 4, 3), "palette")
    refused("no_header.png", whole[:8] + whole[33:], "header")
    refused("size_zero.png", whole[:8] + png_header(0, 9, 8, 2) + whole[33:], "no pixels")
    refused("huge.png", whole[:8] + png_header(30000, 30000, 8, 2) + whole[33:], "large")
    refused("depth_3.png", whole[:8] + png_header(9, 9, 3, 0) + whole[33:], "header")
    refused("too_few_rows.png", whole[:8] + png_header(10, 10, 8, 2) + whole[33:], "compressed")
    bad_filter = whole[:33] + chunk(b"IDAT", zlib.compress(b"\5" + bytes(9 * 31 - 1))) + chunk(b"IEND", b"")
    refused("bad_filter.png", bad_filter, "filter")


# -- BMP and PNM --

def bmp_file(height, width, bits, palette=b"", colors=0, header=40, compression=0, masks=b"", down=False):
    stride = (width * bits + 31) // 32 * 4
    data = RNG.integers(0, 256, stride * height, dtype=np.uint8).tobytes()
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, width, -height if down else height, 1, bits, compression,
                           len(data), 0, 0, colors, 0)
    body = info + masks + palette
    return b"BM" + struct.pack("<IHHI", 14 + len(body) + len(data), 0, 0, 14 + len(body)) + body + data


def bmps():
    def palette(colors, entry=4):
        return RNG.integers(0, 256, colors * entry, dtype=np.uint8).tobytes()
    good("bits1.bmp", bmp_file(5, 13, 1, palette(2)))
    good("bits4.bmp", bmp_file(5, 13, 4, palette(16)))
    good("bits8.bmp", bmp_file(5, 13, 8, palette(256)))
    good("bits8_short.bmp", bmp_file(5, 13, 8, palette(7), 7))
    good("bits24.bmp", bmp_file(5, 13, 24))
    good("bits24_down.bmp", bmp_file(5, 13, 24, down=True))
    good("bits32.bmp", bmp_file(5, 13, 32))
    masks = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)
    good("bits32_fields.bmp", bmp_file(5, 13, 32, compression=3, masks=masks))
    good("old_header.bmp", bmp_file(5, 13, 8, palette(256, 3), header=12))
    good("saved.bmp", saved(Image.fromarray(picture(5, 7)), "BMP"))
    refused("bits16.bmp", bmp_file(5, 13, 16), "16-bit")
    refused("run_lengths.bmp", bmp_file(5, 13, 8, palette(256), compression=1), "compressed")
    refused("short.bmp", bmp_file(5, 13, 24)[:-1], "cut")


def pnms():
    data = RNG.integers(0, 256, 7 * 5 * 6, dtype=np.uint8).tobytes()
    good("grey.pgm", b"P5\n7 5\n255\n" + data[:35])
    good("rgb.ppm", b"P6 7\t5 255\n" + data[:105])
    good("comments.ppm", b"P6\n# by hand\n7 # wide\n5\n#\n255\n" + data[:105])
    good("most_100.pgm", b"P5\n7 5\n100\n" + data[:35])
    good("most_1.pgm", b"P5\n7 5\n1\n" + data[:35])
    refused("most_1000.ppm", b"P6\n7 5\n1000\n" + data[:210], "16-bit")
    refused("grey16.pgm", b"P5\n7 5\n65535\n" + data[:70], "16-bit")
    refused("short.ppm", b"P6\n7 5\n255\n" + data[:104], "cut")
    refused("most_0.ppm", b"P6\n7 5\n0\n" + data[:105], "header")
    refused("plain.ppm", b"P3\n1 1\n255\n1 2 3\n", "PNM")
    refused("huge.ppm", b"P6\n30000 30000\n255\n" + data, "large")


def strangers():
    image = Image.fromarray(picture(4, 5))
    refused("other.gif", saved(image, "GIF"), "GIF")
    refused("other.tif", saved(image, "TIFF"), "TIFF")
    refused("other.webp", saved(image, "WEBP"), "WebP")
    refused("other.ico", saved(image, "ICO"), "ICO")
    refused("other.jp2", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20), "JPEG 2000")
    refused("other.heic", b"\0\0\0\x18ftypheic" + bytes(20), "HEIC")
    refused("other.avif", b"\0\0\0\x18ftypavif" + bytes(20), "AVIF")
    refused("other.psd", b"8BPS\0\1" + bytes(20), "PSD")
    refused("other.txt", b"this is no picture\n", "not a picture")
    refused("empty.png", b"", "empty")
    refused("one_byte.jpg", b"\xff", "not a picture")
    refused("mark_only.jpg", b"\xff\xd8\xff", "cut")
    refused("mark_only.png", b"\x89PNG\r\n\x1a\n", "cut")
    refused("mark_only.bmp", b"BM", "header")
    refused("mark_only.ppm", b"P6", "header")


def encodes():
    for name, qualities in (("smooth.png", (1, 30, 75, 90, 100)), ("rgb8.png", (50, 75, 95)),
                            ("rgb_420.jpg", (75,)), ("size_1x1_adam7.png", (75,)),
                            ("size_5x1_adam7.png", (75,)), ("stored.png", (75,))):
        for quality in qualities:
            image = Image.open(OUT / name).convert("RGB")
            again = Image.open(io.BytesIO(saved(image, "JPEG", quality=quality))).convert("RGB")
            ENCODE.append(f"{name} {quality} {zlib.crc32(again.tobytes()):08x}")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for make in (jpegs, exifs, pngs, bmps, pnms, strangers, encodes):
        make()
    (OUT / "decode.txt").write_text("\n".join(DECODE) + "\n")
    (OUT / "encode.txt").write_text("\n".join(ENCODE) + "\n")
    total = sum(f.stat().st_size for f in OUT.iterdir())
    print(f"{len(DECODE)} files, {total} bytes, Pillow {__version__}")


if __name__ == "__main__":
    main()
