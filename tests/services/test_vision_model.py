"""The pictures that vision-service learns from, its model, and how it reads what strangers send."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from platform_under_test import vision_model
from vision_service.decoding import LARGEST_PIXELS, UndecodableError, decode, from_base64
from vision_service.features import features
from vision_service.model import FILE, Model
from vision_service.pictures import CLASSES, picture

UNSEEN_FROM = 5_000_000  # Neither training nor the build's own examination uses these seeds.


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.read(vision_model())


def right(model: Model, features_of: dict[str, list[np.ndarray]]) -> float:
    """Return the ratio of pictures that get their own class."""
    told = [
        model.classes[int(model.probabilities(vector).argmax())] == label
        for label, vectors in features_of.items()
        for vector in vectors
    ]
    return sum(told) / len(told)


def encoded(image: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_more_than_nine_of_ten_unseen_pictures_are_classified_right(model: Model) -> None:
    """Also as a JPEG of another size; and a model whose weights are mixed up is found out."""
    unseen: dict[str, list[np.ndarray]] = {label: [] for label in CLASSES}
    for label in CLASSES:
        for seed in range(UNSEEN_FROM, UNSEEN_FROM + 20):
            shown = picture(label, seed)
            unseen[label].append(features(shown))
            photograph = encoded(shown.resize((300, 300)), "JPEG", quality=80)
            unseen[label].append(features(decode(photograph)))
    assert right(model, unseen) > 0.9
    mixed = model.model_copy(update={"weights": model.weights[::-1]})
    assert right(Model.model_validate(mixed.model_dump()), unseen) < 0.5


def test_the_model_says_how_well_it_did(model: Model) -> None:
    """On pictures held out from its training, and over nine of ten right."""
    assert model.held_out >= 200
    assert 0.9 < model.accuracy <= 1
    assert len(model.version) == 12


def test_a_picture_is_the_same_for_its_seed_and_another_for_another() -> None:
    """So that the same sources give the same model."""
    for label in CLASSES:
        assert picture(label, 3).tobytes() == picture(label, 3).tobytes() != picture(label, 4).tobytes()


def test_probabilities_are_one_in_all(model: Model) -> None:
    """And the largest is the label's."""
    found = model.probabilities(features(picture("glass", UNSEEN_FROM)))
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of one colour that is tiny until it is decoded."""
    rows = zlib.compress(b"\0" * (height * (width + 1)), 9)
    head = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_before_it_goes_off() -> None:
    """One that is just within the bound is decoded."""
    side = int(LARGEST_PIXELS**0.5)
    assert decode(bomb(side, side)).mode == "RGB"
    for width, height in ((side + 1, side + 1), (side * 2, side * 2), (2**31 - 1, 1)):
        small = (
            bomb(width, height)
            if width < 2**16
            else bomb(1, 1).replace(struct.pack(">2I", 1, 1), struct.pack(">2I", width, height))
        )
        with pytest.raises(UndecodableError):
            decode(small)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_torn_picture_is_refused_wherever_it_is_torn(kind: str) -> None:
    """The whole one is taken."""
    whole = encoded(picture("metal", 1), kind)
    decode(whole)
    for length in (0, 1, 8, 20, 33, 60, len(whole) // 2, len(whole) * 3 // 4):
        with pytest.raises(UndecodableError):
            decode(whole[:length])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_pixel_is_taken(mode: str, model: Model) -> None:
    """Whatever a telephone or a drawing program writes."""
    shown = picture("paper", 2).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        shown = Image.fromarray(np.asarray(shown, dtype=np.uint16) * 256)
    read = decode(encoded(shown, "JPEG" if mode == "CMYK" else "PNG"))
    assert np.isfinite(model.probabilities(features(read))).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_the_thinnest_picture_has_features(size: tuple[int, int], model: Model) -> None:
    """Numbers, not a division by nothing."""
    found = features(decode(encoded(Image.new("RGB", size))))
    assert np.isfinite(model.probabilities(found)).all()


_WHOLE = {kind: encoded(picture("plastic", 5).resize((24, 24)), kind) for kind in ("PNG", "JPEG")}


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(["PNG", "JPEG"]),
    changes=st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=4)), min_size=1, max_size=6),
)
def test_a_spoiled_picture_is_decoded_or_refused(kind: str, changes: list[tuple[int, bytes]]) -> None:
    """Whatever bytes are changed, left out or put in, nothing else is raised."""
    data = _WHOLE[kind]
    for place, put in changes:
        at = place % len(data)
        data = data[:at] + put + data[at + 2 :]
    with suppress(UndecodableError):
        assert decode(data).mode == "RGB"


@pytest.mark.parametrize("text", ["!", "a", "äöü", "YWJj\n=", "=" * 9])
def test_what_is_not_base64_is_refused(text: str) -> None:
    """As an undecodable picture."""
    with pytest.raises(UndecodableError):
        from_base64(text)


def test_the_model_is_one_file_of_numbers() -> None:
    """Nothing in it is executed by reading it."""
    folder = vision_model()
    assert [path.name for path in folder.iterdir()] == [FILE]
    assert (folder / FILE).read_bytes().startswith(b"{")
