"""Train the model when the image is built: `python -m vision_service.build FOLDER` writes FOLDER/model.json.

scikit-learn is needed here and only here: what it learned is a few thousand numbers, which the service reads
as JSON. So a running service neither carries it nor unpickles anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

# One thread, set before NumPy is there: sums in the same order, and a builder's other work goes on.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from vision_service.features import features
from vision_service.model import FILE, Model
from vision_service.pictures import CLASSES, picture

TRAINED_ON, HELD_OUT = 120, 50  # pictures a class
_HELD_OUT_FROM = 1_000_000  # The seeds of held-out pictures; training's begin at 0.
_DIGITS = 6  # So that the last bits of another processor's arithmetic make no other model.


def _set(first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    pairs = [(label, first + number) for number in range(count) for label in range(len(CLASSES))]
    vectors = np.array([features(picture(CLASSES[label], seed)) for label, seed in pairs])
    return vectors, np.array([label for label, _ in pairs])


def train() -> dict[str, object]:
    """Return the model as the file has it: the same sources give the same numbers."""
    vectors, labels = _set(0, TRAINED_ON)
    scaler = StandardScaler().fit(vectors)
    learned = LogisticRegression(C=0.3, max_iter=500).fit(scaler.transform(vectors), labels)
    # The scaling is folded into the weights: one product is all that serving costs.
    weights = learned.coef_ / scaler.scale_
    bias = learned.intercept_ - weights @ scaler.mean_
    numbers = {"weights": _rounded(weights), "bias": _rounded(bias)}
    version = hashlib.sha256(json.dumps(numbers).encode()).hexdigest()[:12]
    model: dict[str, object] = {"version": version, "classes": list(CLASSES), "held_out": 0, "accuracy": 0.0}
    examined, truth = _set(_HELD_OUT_FROM, HELD_OUT)
    served = Model.model_validate({**model, **numbers})
    right = np.mean(
        [
            served.probabilities(vector).argmax() == label
            for vector, label in zip(examined, truth, strict=True)
        ]
    )
    return {**model, "held_out": len(truth), "accuracy": round(float(right), 4), **numbers}


def _rounded(numbers: np.ndarray) -> list[Any]:
    rounded: list[Any] = np.vectorize(lambda number: float(f"{number:.{_DIGITS}g}"))(numbers).tolist()
    return rounded


def main(arguments: list[str]) -> int:
    """Write the model into the folder that is named; returns the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("expected one argument, the folder to write the model into\n")
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(train(), separators=(",", ":")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
