"""
Photos as customers send them: looked at by a decoder, and written anew, so that nothing but the picture is left (POL-08).

What is hidden in a file (place, device, a script that makes it two things at once) does not survive that.
"""

from __future__ import annotations

import asyncio
import io
from typing import BinaryIO

from PIL import Image, ImageOps

from aftersales.terms import Photos

FORMATS = ("JPEG", "PNG", "WEBP")
TOO_LARGE, NOT_A_PHOTO = "too_large", "not_a_photo"
QUALITY = 85
# a decoder pays for each row and column too: one pixel wide, fifty million rows take gigabytes
MOST_SIDE = 20_000
# unpacked, a photo takes a hundred megabytes and more
_room = asyncio.Semaphore(2)


class Refused(Exception):
    """A file that is not taken; `why` is one of TOO_LARGE and NOT_A_PHOTO."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


async def anew(file: BinaryIO, limits: Photos) -> bytes:
    """The picture of a file as a JPEG of our own. Raises Refused."""
    async with _room:
        return await asyncio.to_thread(_anew, file, limits)


def _anew(file: BinaryIO, limits: Photos) -> bytes:
    try:
        # only the decoders we name: others read files that are programs
        with Image.open(file, formats=FORMATS) as found:
            # the size stands in the header; nothing is unpacked yet
            if max(found.size) > MOST_SIDE or found.width * found.height > limits.megapixels * 1_000_000:
                raise Refused(TOO_LARGE)
            side = (limits.longest_side, limits.longest_side)
            found.draft("RGB", side)
            picture = ImageOps.exif_transpose(found)
            picture.thumbnail(side)
            out = io.BytesIO()
            _flat(picture).save(out, "JPEG", quality=QUALITY)
            return out.getvalue()
    except Image.DecompressionBombError:
        raise Refused(TOO_LARGE) from None
    except Refused:
        raise
    except Exception as error:
        # a decoder that strangers feed fails in more ways than it names
        raise Refused(NOT_A_PHOTO) from error


def _flat(picture: Image.Image) -> Image.Image:
    """A picture on white: a JPEG cannot be seen through. A new one, that knows nothing of the file."""
    seen = picture.convert("RGBA") if picture.has_transparency_data else picture.convert("RGB")
    flat = Image.new("RGB", seen.size, "white")
    flat.paste(seen, mask=seen.getchannel("A") if seen.mode == "RGBA" else None)
    return flat
