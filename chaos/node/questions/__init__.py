"""The questions by name: a file each, and a line each here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from chaos.node.questions import (
    connect,
    container_processes,
    container_usage,
    echo,
    echoes_heard,
    exchange,
    resolve,
    throughput,
    volume_write,
)


class Question(Protocol):
    """A kind of measurement, from a node or from a container on it."""

    NAME: str

    @property
    def ask(self) -> Callable[..., Mapping[str, Any]]:
        """Measure, with keyword parameters. MisuseError or TypeError for wrong ones."""


_QUESTIONS: tuple[Question, ...] = (
    connect,
    container_processes,
    echo,
    echoes_heard,
    exchange,
    resolve,
    throughput,
    container_usage,
    volume_write,
)
QUESTIONS: Mapping[str, Question] = {question.NAME: question for question in _QUESTIONS}
