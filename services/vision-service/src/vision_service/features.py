"""What the model looks at: colours, their spread, edges and their directions, at the middle and around."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 64
Floats = NDArray[np.float64]


def features(image: Image.Image) -> Floats:
    """Return the feature vector of a picture of any size in mode RGB."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    colours = np.asarray(small, dtype=np.float64) / 255
    value, least = colours.max(axis=2), colours.min(axis=2)
    saturation = (value - least) / (value + 1e-6)
    hue = np.asarray(small.convert("HSV"), dtype=np.float64)[..., 0] / 256
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1) * 2 - 1
    distance = np.hypot(rows, columns)
    middle, around = distance < 0.55, distance > 1.0
    found: list[Floats] = []
    for region in (middle, around):
        found += [_share(value[region], 8), _share(saturation[region], 8)]
        found.append(_share(hue[region], 12, weights=saturation[region] * value[region]))
        found += [_moments(plane[region]) for plane in (value, saturation)]
        found.append(colours[region].mean(axis=0))
    found += [_edges(value, middle), _edges(value, np.ones_like(middle)), _edges(saturation, middle)]
    for step in (2, 4, 8):
        found.append(_spread(value, step, middle))
    return np.concatenate(found)


def _share(values: Floats, bins: int, weights: Floats | None = None) -> Floats:
    counted = np.histogram(values, bins=bins, range=(0, 1), weights=weights)[0]
    return np.sqrt(counted / (values.size if weights is None else counted.sum() + 1e-6))


def _moments(values: Floats) -> Floats:
    mean, deviation = values.mean(), values.std()
    skew = ((values - mean) ** 3).mean() / (deviation**3 + 1e-4)
    return np.array([mean, deviation, skew, *np.quantile(values, (0.02, 0.1, 0.5, 0.9, 0.98))])


def _edges(plane: Floats, region: NDArray[np.bool_]) -> Floats:
    """Return how strong edges are and whether they share a direction (turned to the strongest one)."""
    down, across = np.gradient(plane)
    strength = np.hypot(down, across)[region]
    angle = np.arctan2(down, across)[region] % np.pi
    directions = np.histogram(angle, bins=8, range=(0, np.pi), weights=strength)[0]
    directions = np.roll(directions, -int(directions.argmax())) / (directions.sum() + 1e-6)
    return np.concatenate([directions, _share(np.clip(strength * 4, 0, 1), 8), _moments(strength * 4)])


def _spread(plane: Floats, step: int, region: NDArray[np.bool_]) -> Floats:
    """Return how much values differ within squares of `step` pixels: how fine the texture is."""
    count = SIDE // step
    squares = plane.reshape(count, step, count, step)
    within = squares.std(axis=(1, 3))
    inside = region.reshape(count, step, count, step).mean(axis=(1, 3)) > 0.5
    return np.array([*np.quantile(within[inside], (0.1, 0.5, 0.9)), within[inside].mean(), within.mean()])
