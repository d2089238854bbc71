"""Pictures as clients send them, made into pixels without trusting a byte of them."""

from __future__ import annotations

import base64
import binascii
import io
import struct
import warnings

from PIL import Image

LARGEST_PIXELS = 12_000_000  # 4000 x 3000, as telephones take them: 36 MB once decoded
_WORKED_ON = 256  # A JPEG is decoded to about this side at once, which costs a tenth of the whole.
# Pillow warns from here on and raises at twice as many; both are refused before anything is decoded.
Image.MAX_IMAGE_PIXELS = LARGEST_PIXELS


class UndecodableError(Exception):
    """What was sent is no picture of a kind and size that is taken; the text says why."""


def decode(data: bytes) -> Image.Image:
    """Return the picture, a PNG or JPEG of at most LARGEST_PIXELS, in mode RGB."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
                image.draft("RGB", (_WORKED_ON, _WORKED_ON))
                image.thumbnail((_WORKED_ON * 2, _WORKED_ON * 2), Image.Resampling.BOX)
                return image.convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UndecodableError(f"expected at most {LARGEST_PIXELS} pixels") from error
    # What Pillow's readers of PNG and JPEG raise on torn or contradictory files.
    except (OSError, SyntaxError, ValueError, KeyError, IndexError, EOFError, struct.error) as error:
        raise UndecodableError("expected a whole PNG or JPEG picture") from error


def from_base64(text: str) -> bytes:
    """Return the bytes of a base64 text; raises UndecodableError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UndecodableError("expected base64") from error
