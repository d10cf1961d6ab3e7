"""Writes vision/testdata: what Pillow makes of images.

    python reference/pillow_fixture.py

decode.json.gz holds files of every format and kind of pixel with the result of exif_transpose and convert("RGB");
resize.json.gz holds hashes of 360 resized images, which are drawn by a formula that the Go test repeats.
"""

import base64
import gzip
import hashlib
import io
import json
import pathlib
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps, PngImagePlugin

assert PIL.__version__ == "13.0.0", PIL.__version__

OUT = pathlib.Path(__file__).parent.parent / "vision" / "testdata"


def write(name, cases):
    data = json.dumps(cases, separators=(",", ":")).encode()
    (OUT / name).write_bytes(gzip.compress(data, 9, mtime=0))


def b64(data):
    return base64.b64encode(bytes(data)).decode()


# --- drawn images -----------------------------------------------------------------------------------------------------


def mix(z):
    """Returns the finaliser of SplitMix64 of an array of uint64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def drawn(seed, kind, height, width, channels):
    """Returns an image: 0 noise, 1 black and white blocks, 2 slopes with little noise."""
    n = height * width * channels
    with np.errstate(over="ignore"):
        words = mix(np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed))
    noise = (words >> np.uint64(56)).astype(np.int64).reshape(height, width, channels)
    y, x, c = np.indices(noise.shape)
    if kind == 0:
        v = noise
    elif kind == 1:
        v = ((x // 3 + y // 2 + c + seed) % 2) * 255
    else:
        v = (x * (seed % 7 + 1) + y * (seed % 5 + 1) + c * 40) % 256 // 2 + 64 + noise // 16
    return v.astype(np.uint8)


def resize_cases():
    rng = np.random.default_rng(13)
    cases = []
    for i in range(360):
        filter = i % 6
        channels = 1 if i % 5 == 0 else 3
        high = 20 if i % 3 == 0 else 300
        w, h, ow, oh = (int(v) for v in rng.integers(1, high, 4))
        if i % 17 == 0:
            ow = w
        if i % 19 == 0:
            oh = h
        a = drawn(i, i // 6 % 3, h, w, channels)
        out = np.array(Image.fromarray(a[:, :, 0] if channels == 1 else a).resize((ow, oh), filter))
        case = {"seed": i, "kind": i // 6 % 3, "from": [w, h], "to": [ow, oh], "channels": channels, "filter": filter,
                "sha256": hashlib.sha256(out.tobytes()).hexdigest()}
        if out.size <= 300:
            case["pix"] = b64(out.tobytes())
        cases.append(case)
    return cases


# --- files ------------------------------------------------------------------------------------------------------------


def png(width, height, depth, colour, rows, chunks=(), interlace=0):
    """Returns a PNG file of packed rows, each without its filter byte."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    body = b"".join(b"\0" + bytes(r) for r in rows)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
    for name, data in chunks:
        out += chunk(name, data)
    return out + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def adam7(a):
    """Returns the rows of the seven passes of an interlaced image."""
    rows = []
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
                           (0, 1, 1, 2)):
        part = a[y0::dy, x0::dx]
        if part.size:
            rows += [r.tobytes() for r in part]
    return rows


def packed(a, bits):
    """Returns rows of numbers of few bits."""
    rows = []
    for r in a:
        s = "".join(format(int(v), f"0{bits}b") for v in r)
        s += "0" * (-len(s) % 8)
        rows.append(bytes(int(s[i:i + 8], 2) for i in range(0, len(s), 8)))
    return rows


def gif_part(screen, rect, colours, transparent=None, local=None):
    """Returns a GIF whose only frame covers a part of the screen; its pixels count up."""
    sw, sh = screen
    x, y, w, h = rect
    out = b"GIF89a" + struct.pack("<HHBBB", sw, sh, 0x80 | 1, 2, 0) + bytes(colours)
    if transparent is not None:
        out += b"!\xf9\x04" + struct.pack("<BHB", 1, 0, transparent) + b"\0"
    out += b"," + struct.pack("<HHHHB", x, y, w, h, 0x81 if local else 0) + bytes(local or b"")
    bits, n = [], 3  # every number in a code of its own: clear, value, clear, value …, end
    for i in range(w * h):
        bits += [4, i % 4]
    bits.append(5)
    s = "".join(format(b, f"0{n}b")[::-1] for b in bits)
    s += "0" * (-len(s) % 8)
    data = bytes(int(s[i:i + 8][::-1], 2) for i in range(0, len(s), 8))
    out += b"\x02"
    for i in range(0, len(data), 255):
        out += bytes([len(data[i:i + 255])]) + data[i:i + 255]
    return out + b"\0;"


def exif(orientation, endian="<"):
    mark = b"II*\0" if endian == "<" else b"MM\0*"
    return (b"Exif\0\0" + mark + struct.pack(endian + "IH", 8, 2) + struct.pack(endian + "HHII", 0x10F, 2, 4, 0x41424300)
            + struct.pack(endian + "HHIHH", 0x112, 3, 1, orientation, 0) + struct.pack(endian + "I", 0))


def xmp(orientation):
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def saved(image, format, **options):
    f = io.BytesIO()
    image.save(f, format, **options)
    return f.getvalue()


def picture(height, width, seed=1):
    """Returns something like a photograph: slopes, an edge, a little noise."""
    y, x = np.mgrid[0:height, 0:width]
    rng = np.random.default_rng(seed)
    a = np.stack([x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x * 3 + y * 5) % 256], -1)
    a[height // 3:height // 2, width // 4:width // 2] = [200, 30, 60]
    return np.clip(a + rng.integers(-6, 7, a.shape), 0, 255).astype(np.uint8)


def files():
    """Yields names and bytes."""
    h, w = 19, 23
    rgb = picture(h, w)
    image = Image.fromarray(rgb)
    grey = image.convert("L")
    alpha = Image.fromarray(drawn(5, 0, h, w, 1)[:, :, 0])
    rgba = image.copy()
    rgba.putalpha(alpha)
    la = Image.merge("LA", (grey, alpha))
    palette = image.quantize(40)
    wide = drawn(3, 0, h, w, 8)  # eight bytes of a pixel

    yield "png_1.png", saved(grey.convert("1"), "PNG")
    yield "png_l.png", saved(grey, "PNG")
    yield "png_l_trns.png", saved(grey, "PNG", transparency=100)
    yield "png_la.png", saved(la, "PNG")
    yield "png_rgb.png", saved(image, "PNG")
    yield "png_rgb_trns.png", saved(image, "PNG", transparency=tuple(int(v) for v in rgb[0, 0]))
    yield "png_rgba.png", saved(rgba, "PNG")
    yield "png_p.png", saved(palette, "PNG")
    yield "png_p_trns.png", saved(palette, "PNG", transparency=bytes(range(0, 250, 10)))
    for bits in 1, 2, 4:
        yield f"png_p{bits}.png", saved(image.quantize(2 ** bits), "PNG", bits=bits)
        yield f"png_l{bits}.png", png(w, h, bits, 0, packed(np.array(grey) >> (8 - bits), bits))
    yield "png_l2_trns.png", png(w, h, 2, 0, packed(np.array(grey) >> 6, 2), [(b"tRNS", struct.pack(">H", 1))])
    yield "png_l16.png", png(w, h, 16, 0, [r[:, :2].tobytes() for r in wide])
    yield "png_la16.png", png(w, h, 16, 4, [r[:, :4].tobytes() for r in wide])
    yield "png_rgb16.png", png(w, h, 16, 2, [r[:, :6].tobytes() for r in wide])
    yield "png_rgb16_trns.png", png(w, h, 16, 2, [r[:, :6].tobytes() for r in wide], [(b"tRNS", wide[0, 0, :6].tobytes())])
    yield "png_rgba16.png", png(w, h, 16, 6, [r.tobytes() for r in wide])
    yield "png_interlaced.png", png(w, h, 8, 2, adam7(rgb), interlace=1)
    yield "png_late_exif.png", saved(image, "PNG")[:-12] + struct.pack(">I", 40) + b"eXIf" + exif(6)[6:46].ljust(40, b"\0") + \
        struct.pack(">I", zlib.crc32(b"eXIf" + exif(6)[6:46].ljust(40, b"\0"))) + saved(image, "PNG")[-12:]
    for o in range(10):
        yield f"png_exif_{o}.png", saved(image, "PNG", exif=exif(o, "<>"[o % 2]))
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp(8).decode())
    yield "png_xmp.png", saved(image, "PNG", pnginfo=info)

    for sampling in "4:4:4", "4:2:2", "4:2:0":
        for ph, pw in ((1, 1), (2, 2), (3, 5), (5, 3), (4, 6), (17, 16), (33, 41), (64, 48)):
            for quality in 30, 90:
                name = f"jpeg_{sampling.replace(':', '')}_{ph}x{pw}_{quality}.jpg"
                yield name, saved(Image.fromarray(picture(ph, pw, ph)), "JPEG", subsampling=sampling, quality=quality)
    yield "jpeg_progressive.jpg", saved(Image.fromarray(picture(50, 61)), "JPEG", progressive=True, quality=80)
    yield "jpeg_restart.jpg", saved(Image.fromarray(picture(50, 61)), "JPEG", restart_marker_blocks=2)
    yield "jpeg_l.jpg", saved(grey, "JPEG", quality=90)
    yield "jpeg_rgb.jpg", saved(image, "JPEG", keep_rgb=True, quality=90)
    yield "jpeg_cmyk.jpg", saved(image.convert("CMYK"), "JPEG", quality=95)
    for o in range(1, 9):
        yield f"jpeg_exif_{o}.jpg", saved(image, "JPEG", quality=95, subsampling=0, exif=exif(o, "><"[o % 2]))
    yield "jpeg_xmp.jpg", saved(image, "JPEG", quality=95, subsampling=0, xmp=xmp(6))
    yield "jpeg_exif_xmp.jpg", saved(image, "JPEG", quality=95, subsampling=0, exif=exif(3), xmp=xmp(6))

    yield "gif_p.gif", saved(palette, "GIF")
    yield "gif_l.gif", saved(grey, "GIF")
    yield "gif_interlaced.gif", saved(palette, "GIF", interlace=1)
    yield "gif_transparent.gif", saved(palette, "GIF", transparency=7)
    yield "gif_animated.gif", saved(palette, "GIF", save_all=True, append_images=[grey, image.quantize(9)], duration=50)
    colours = [10, 20, 30, 250, 100, 0, 7, 77, 177, 90, 91, 92]
    yield "gif_part.gif", gif_part((9, 7), (2, 1, 5, 4), colours)
    yield "gif_part_transparent.gif", gif_part((9, 7), (3, 2, 5, 4), colours, transparent=2)
    yield "gif_part_local.gif", gif_part((9, 7), (3, 2, 5, 5), colours, transparent=1, local=colours[::-1])

    yield "webp_lossless.webp", saved(image, "WEBP", lossless=True)
    yield "webp_lossless_alpha.webp", saved(rgba, "WEBP", lossless=True, exact=True)
    yield "webp_palette.webp", saved(image.quantize(6).convert("RGB"), "WEBP", lossless=True)
    for ph, pw in ((1, 1), (2, 2), (3, 5), (4, 7), (17, 16), (33, 41), (64, 48)):
        yield f"webp_{ph}x{pw}.webp", saved(Image.fromarray(picture(ph, pw, ph)), "WEBP", quality=80)
    yield "webp_alpha.webp", saved(rgba, "WEBP", quality=60)
    yield "webp_exif.webp", saved(image, "WEBP", quality=60, exif=exif(6))
    yield "webp_xmp.webp", saved(image, "WEBP", quality=60, xmp=xmp(3))

    yield "bmp_1.bmp", saved(grey.convert("1"), "BMP")
    yield "bmp_l.bmp", saved(grey, "BMP")
    yield "bmp_p.bmp", saved(palette, "BMP")
    yield "bmp_rgb.bmp", saved(image, "BMP")
    yield "bmp_rgba.bmp", saved(rgba, "BMP")


def decode_cases():
    cases = []
    for name, data in files():
        with Image.open(io.BytesIO(data)) as image:
            mode = image.mode
            image = ImageOps.exif_transpose(image)
            grey = image.convert("L")
            image = image.convert("RGB")
        cases.append({"name": name, "mode": mode, "file": b64(data), "size": list(image.size), "pix": b64(image.tobytes()),
                      "grey": b64(grey.tobytes())})
    return cases


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    write("decode.json.gz", decode_cases())
    write("resize.json.gz", resize_cases())
