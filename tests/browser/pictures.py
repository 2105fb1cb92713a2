"""
Small PNG files of screenshots, without an image library: as many colors as a page needs, and no more.

A browser writes three or four bytes a pixel and packs them in a hurry; a page of text needs one, and has time.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLORS = 256


def smaller(png: bytes) -> bytes:
    """Write a browser's PNG (8 bits, not interlaced) with a palette. What is in it is lost only where nobody looks."""
    width, height, pixels = _pixels(png)
    counted = Counter(pixels)
    palette = [color for color, _ in counted.most_common(COLORS)]
    place = {color: index for index, color in enumerate(palette)}
    for color in counted:
        if color not in place:
            place[color] = min(range(len(palette)), key=lambda i: _distance(palette[i], color))
    packed = bytes(map(place.__getitem__, pixels))
    rows = b"".join(b"\0" + packed[row * width : (row + 1) * width] for row in range(height))
    return SIGNATURE + b"".join(
        _chunk(kind, data)
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", b"".join(palette)),
            (b"IDAT", zlib.compress(rows, 9)),
            (b"IEND", b""),
        )
    )


def _pixels(png: bytes) -> tuple[int, int, list[bytes]]:
    """Read a PNG's pixels as three bytes each. Raises ValueError for a kind that no browser writes."""
    place, packed = len(SIGNATURE), b""
    width = height = step = 0
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        kind, data = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        if kind == b"IHDR":
            width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", data)
            if depth != 8 or color not in (2, 6) or interlaced:
                raise ValueError(f"no screenshot: depth {depth}, color type {color}")
            step = 3 if color == 2 else 4
        elif kind == b"IDAT":
            packed += data
        place += length + 12
    raw, stride = zlib.decompress(packed), width * step
    before, pixels = bytearray(stride), []
    for row in range(height):
        start = row * (stride + 1)
        line = bytearray(raw[start + 1 : start + 1 + stride])
        _unfilter(raw[start], line, before, step)
        pixels += [bytes(line[i : i + 3]) for i in range(0, stride, step)]
        before = line
    return width, height, pixels


def _unfilter(kind: int, line: bytearray, above: bytearray, step: int) -> None:
    if kind == 1:
        for i in range(step, len(line)):
            line[i] = (line[i] + line[i - step]) & 255
    elif kind == 2:
        for i in range(len(line)):
            line[i] = (line[i] + above[i]) & 255
    elif kind == 3:
        for i in range(len(line)):
            line[i] = (line[i] + ((line[i - step] if i >= step else 0) + above[i]) // 2) & 255
    elif kind == 4:
        for i in range(len(line)):
            left, corner = (line[i - step], above[i - step]) if i >= step else (0, 0)
            line[i] = (line[i] + _paeth(left, above[i], corner)) & 255


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))


def _distance(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
