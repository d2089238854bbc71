"""The trained model as the service uses it: a table of weights, read once."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from ecochain_kit.settings import BadSettingError
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

FILE = "model.json"


class Model(BaseModel):
    """Classes, one row of weights and a bias for each, and how well it did on pictures it had not seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    classes: tuple[str, ...]
    accuracy: float
    held_out: int
    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]

    @cached_property
    def _table(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array(self.weights), np.array(self.bias)

    def probabilities(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each class, in the order of `classes`."""
        weights, bias = self._table
        scores = weights @ vector + bias
        odds = np.exp(scores - scores.max())
        return np.asarray(odds / odds.sum())

    @classmethod
    def read(cls, folder: Path) -> Model:
        """Read the model that the build wrote; raises BadSettingError, which names MODEL_DIR."""
        try:
            return cls.model_validate_json((folder / FILE).read_bytes())
        except OSError as error:
            raise BadSettingError(f"MODEL_DIR: no model in {folder}: {error.strerror}") from error
        except ValidationError as error:
            raise BadSettingError(f"MODEL_DIR: {folder / FILE} is no model of this service") from error
