"""Pictures of waste that this project draws itself: what the model learns from, and is examined on.

No photograph is used. Each class has its own shapes, colours, surfaces and light, and within the class all
of them vary; background, turn, size, light, blur and noise vary alike for every class, so that none of them
tells the class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

CLASSES = ("glass", "metal", "organic", "paper", "plastic")
SIDE = 96

Plane = NDArray[np.float64]  # SIDE x SIDE, mostly 0 to 1
Colours = NDArray[np.float64]  # SIDE x SIDE x 3, 0 to 1


@dataclass(frozen=True, kw_only=True)
class _Canvas:
    """Coordinates turned and scaled so that the thing stands upright in -1..1, and the dice."""

    x: Plane
    y: Plane
    dice: np.random.Generator

    def between(self, low: float, high: float) -> float:
        return float(self.dice.uniform(low, high))

    def bottle(self) -> Plane:
        """Return the shape of a bottle: a body, shoulders and a neck."""
        body, neck = self.between(0.32, 0.5), self.between(0.1, 0.18)
        shoulder, base = self.between(-0.5, -0.2), self.between(0.7, 0.9)
        slope = np.clip((self.y - (shoulder - 0.25)) / 0.25, 0, 1)
        width = neck + (body - neck) * slope * slope * (3 - 2 * slope)
        return _soft(width - np.abs(self.x)) * _soft(base - self.y) * _soft(self.y + 0.9)

    def cylinder(self) -> Plane:
        """Return the shape of a can or jar: straight sides and round ends."""
        width, height = self.between(0.35, 0.6), self.between(0.55, 0.85)
        bulge = 0.12 * np.sqrt(np.clip(1 - (self.x / width) ** 2, 0, 1))
        return _soft(width - np.abs(self.x)) * _soft(height + bulge - np.abs(self.y))

    def polygon(self, corners: int, low: float, high: float) -> Plane:
        """Return an uneven convex shape of that many sides."""
        shape = np.ones_like(self.x)
        turn = self.between(0, 2 * np.pi)
        for corner in range(corners):
            angle = turn + 2 * np.pi * (corner + self.between(-0.2, 0.2)) / corners
            shape *= _soft(self.between(low, high) - self.x * np.cos(angle) - self.y * np.sin(angle))
        return shape

    def cloud(self, *scales: int) -> Plane:
        """Return smooth noise, the sum of these numbers of patches a side, stretched to 0..1."""
        total = np.zeros((SIDE, SIDE))
        for order, scale in enumerate(scales):
            coarse = Image.fromarray(self.dice.random((scale, scale)).astype(np.float32))
            total += np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) / (order + 1)
        return np.asarray((total - total.min()) / (np.ptp(total) + 1e-9))


def _soft(distance: Plane) -> Plane:
    return np.asarray(np.clip(distance * SIDE / 3 + 0.5, 0, 1))


def _colour(hue: float, saturation: float, value: float) -> NDArray[np.float64]:
    """Return red, green, blue of a hue (0..1, taken round), saturation and value."""
    parts = np.clip(np.abs((hue + np.array([0, 2 / 3, 1 / 3])) % 1 * 6 - 3) - 1, 0, 1)
    return np.asarray(value * (1 - saturation + saturation * parts))


def _shade(light: Plane, colour: NDArray[np.float64]) -> Colours:
    return light[..., None] * colour


def _streak(c: _Canvas, width: float) -> Plane:
    """Return a highlight along the thing."""
    return np.asarray(np.exp(-(((c.x - c.between(-0.3, 0.3)) / width) ** 2)))


def _plastic(c: _Canvas, behind: Colours) -> Colours:
    """Bottles and bags: loud even colours, soft broad highlights, a cap and a label of other colours."""
    hue = c.between(0, 1)
    base = _colour(hue, c.between(0.55, 1), c.between(0.55, 1))
    bag = c.dice.random() < 0.35
    shape = c.polygon(int(c.dice.integers(5, 9)), 0.45, 0.75) if bag else c.bottle()
    if bag:
        light = 0.7 + 0.45 * np.abs(np.sin(c.between(4, 9) * c.x + 5 * c.cloud(4, 8)))
    else:
        light = 0.65 + 0.35 * (1 - c.x**2) + 0.5 * _streak(c, c.between(0.06, 0.15))
    thing = _shade(light, base)
    if not bag:
        cap = _soft(-0.68 - c.y)
        label = _soft(c.between(0.12, 0.3) - np.abs(c.y - 0.2))
        for part in (cap, label):
            other = _colour(hue + c.between(0.2, 0.8), c.between(0.4, 1), c.between(0.6, 1))
            thing = thing * (1 - part[..., None]) + _shade(light * part, other)
    through = c.between(0.75, 1)
    return _over(behind, thing * through + behind * (1 - through), shape)


def _paper(c: _Canvas, behind: Colours) -> Colours:
    """Sheets, cartons and crumpled balls: pale or brown, dull, in flat facets, some with lines of print."""
    hue, brown = c.between(0.06, 0.13), c.dice.random() < 0.4
    base = _colour(hue, c.between(0.3, 0.5) if brown else c.between(0, 0.12), c.between(0.6, 0.98))
    shape = c.polygon(int(c.dice.integers(4, 7)), 0.5, 0.8)
    light = np.full_like(c.x, 0.9)
    for _ in range(int(c.dice.integers(2, 9))):
        angle = c.between(0, np.pi)
        side = c.x * np.cos(angle) + c.y * np.sin(angle) > c.between(-0.6, 0.6)
        light += np.where(side, 1, -1) * c.between(0.02, 0.09)
    light += 0.05 * (c.dice.random(c.x.shape) - 0.5)
    if c.dice.random() < 0.6:
        lines = (np.sin(c.y * c.between(25, 45)) > 0.4) & (np.abs(c.x) < c.between(0.3, 0.55))
        light *= np.where(lines & (c.cloud(14, 28) > 0.4), c.between(0.35, 0.75), 1)
    return _over(behind, _shade(light, base), shape)


def _glass(c: _Canvas, behind: Colours) -> Colours:
    """Bottles, jars and shards: what is behind shows through, dark rims, thin hard highlights."""
    tint = (c.between(0.28, 0.42), c.between(0.05, 0.1), c.between(0.45, 0.55))[int(c.dice.integers(3))]
    base = _colour(tint, c.between(0.25, 0.8), c.between(0.35, 0.75))
    kind = c.dice.random()
    shape = (
        c.bottle()
        if kind < 0.5
        else c.cylinder()
        if kind < 0.75
        else c.polygon(int(c.dice.integers(3, 6)), 0.35, 0.7)
    )
    inner = (
        np.asarray(Image.fromarray((shape * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(3))) / 255
    )
    rim = np.clip((1 - inner) * 2, 0, 1) * shape
    thing = behind * (0.35 + 0.65 * base) + 0.12 * base
    thing = thing * (1 - c.between(0.5, 0.8) * rim[..., None])
    for _ in range(int(c.dice.integers(1, 4))):
        thing = thing + (c.between(0.5, 0.9) * _streak(c, c.between(0.015, 0.04)) * (rim < 0.6))[..., None]
    return _over(behind, thing, shape)


def _metal(c: _Canvas, behind: Colours) -> Colours:
    """Cans, lids and foil: grey, with strong bands of light and dark, brushed or crinkled."""
    base = _colour(c.between(0.5, 0.7), c.between(0, 0.12), c.between(0.75, 1))
    kind = c.dice.random()
    if kind < 0.6:
        shape = c.cylinder()
        light = (
            0.55
            + 0.4 * np.sin(c.between(5, 9) * c.x + c.between(0, 6))
            + 0.12 * np.sin(c.between(12, 20) * c.x)
        )
        light *= 1 - 0.35 * (np.abs(np.sin(c.y * c.between(7, 14))) > 0.97)
    elif kind < 0.8:
        radius = np.hypot(c.x, c.y)
        shape = _soft(c.between(0.5, 0.75) - radius)
        light = 0.55 + 0.35 * np.cos(2 * np.arctan2(c.y, c.x) + c.between(0, 6)) + 0.12 * np.sin(radius * 40)
    else:
        shape = c.polygon(int(c.dice.integers(5, 9)), 0.5, 0.75)
        folds = c.cloud(8, 14, 20)
        light = 0.5 + 1.6 * np.abs(np.gradient(folds, axis=0) + np.gradient(folds, axis=1)) * SIDE / 10
    brushed = c.dice.random((SIDE, 1)) if c.dice.random() < 0.5 else c.dice.random((1, SIDE))
    light = light + 0.1 * (brushed - 0.5)
    return _over(behind, _shade(np.clip(light, 0.05, 1.3), base), shape)


def _organic(c: _Canvas, behind: Colours) -> Colours:
    """Peels, leaves and scraps: round lumps in browns, greens and oranges, mottled at every scale."""
    thing, cover = behind, np.zeros_like(c.x)
    for _ in range(int(c.dice.integers(2, 6))):
        hue = c.between(0.03, 0.32)
        base = _colour(hue, c.between(0.5, 0.9), c.between(0.3, 0.8))
        other = _colour(hue + c.between(-0.06, 0.06), c.between(0.4, 0.9), c.between(0.15, 0.5))
        across, up = c.x - c.between(-0.4, 0.4), c.y - c.between(-0.4, 0.4)
        angle = np.arctan2(up, across)
        reach = c.between(0.25, 0.5) * (
            1 + 0.25 * np.sin(int(c.dice.integers(2, 6)) * angle + c.between(0, 6))
        )
        lump = _soft(reach * (0.8 + 0.4 * c.cloud(6, 12)) - np.hypot(across * c.between(0.7, 1.6), up))
        mottled = c.cloud(6, 14, 30, 60)[..., None]
        light = 0.8 + 0.4 * c.cloud(5, 20)
        thing = _over(thing, (mottled * base + (1 - mottled) * other) * light[..., None], lump)
        cover = np.maximum(cover, lump)
    return thing


def _over(behind: Colours, thing: Colours, shape: Plane) -> Colours:
    return np.asarray(behind * (1 - shape[..., None]) + thing * shape[..., None])


def _background(c: _Canvas) -> Colours:
    """Return concrete, wood, cloth or soil; of all classes alike."""
    base = _colour(c.between(0, 1), c.between(0, 0.3), c.between(0.25, 0.85))
    light = 0.8 + c.between(0.1, 0.4) * c.cloud(int(c.dice.integers(2, 6)), int(c.dice.integers(8, 40)))
    if c.dice.random() < 0.3:
        light = light * (1 + 0.12 * np.sin(c.between(8, 25) * c.x + 3 * c.cloud(3, 6)))
    return _shade(light, base)


_DRAW: dict[str, Callable[[_Canvas, Colours], Colours]] = {
    "glass": _glass,
    "metal": _metal,
    "organic": _organic,
    "paper": _paper,
    "plastic": _plastic,
}


def picture(label: str, seed: int) -> Image.Image:
    """Return the picture of a class, SIDE x SIDE pixels, the same for the same seed."""
    dice = np.random.default_rng([CLASSES.index(label), seed])
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1) * 2 - 1
    turn, size = dice.uniform(-0.7, 0.7), dice.uniform(0.75, 1.1)
    x, y = columns - dice.uniform(-0.15, 0.15), rows - dice.uniform(-0.15, 0.15)
    across = (x * np.cos(turn) + y * np.sin(turn)) / size
    canvas = _Canvas(x=across, y=(y * np.cos(turn) - x * np.sin(turn)) / size, dice=dice)
    seen = _DRAW[label](canvas, _background(canvas))
    # The camera: light from a side, exposure, white balance, grain, and a focus that is seldom perfect.
    falling = 1 + dice.uniform(-0.2, 0.2) * x + dice.uniform(-0.2, 0.2) * y
    seen = seen * falling[..., None] * dice.uniform(0.8, 1.15) * dice.uniform(0.94, 1.06, 3)
    seen = seen + dice.normal(0, dice.uniform(0.005, 0.04), seen.shape)
    image = Image.fromarray((np.clip(seen, 0, 1) * 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(dice.uniform(0, 0.9)))
