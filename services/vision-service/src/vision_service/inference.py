"""Inference beside the event loop: few threads, a short queue, and no wait beyond the request's deadline."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ecochain_kit.metrics import Metrics
from ecochain_kit.problems import Problem
from prometheus_client import Gauge, Histogram

from vision_service.decoding import UndecodableError, decode
from vision_service.features import features
from vision_service.model import Model

WAITING = 64  # Pictures that may wait for a thread, four full batches; more are refused at once.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the model says of a picture; the probabilities add up to 1."""

    label: str
    confidence: float
    probabilities: dict[str, float]


class Inference:
    """The model, and the threads that it runs in. Arithmetic within one picture has one thread."""

    def __init__(self, model: Model, threads: int, metrics: Metrics) -> None:
        self.model, self._room = model, threads + WAITING
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="inference")
        self._lock, self._taken = threading.Lock(), 0
        registry = metrics.registry
        self._stages = Histogram(
            "ecochain_inference_seconds",
            "Time of one picture: decode, features and model.",
            ("stage",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._confidence = Histogram(
            "ecochain_inference_confidence",
            "Probability of the class that was answered.",
            buckets=(0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0),
            registry=registry,
        )
        self._labels = metrics.counter("ecochain_inference_total", "Pictures classified.", "label")
        self._refused = metrics.counter(
            "ecochain_inference_refused_total", "Pictures not classified.", "reason"
        )
        self._busy = Gauge("ecochain_inference_threads_busy", "Threads at work.", registry=registry)
        Gauge(
            "ecochain_inference_threads",
            "Threads there are: with the busy ones, the load.",
            registry=registry,
        ).set(threads)
        for label in model.classes:
            self._labels.labels(label)
        for reason in ("undecodable", "busy", "deadline"):
            self._refused.labels(reason)
        Gauge(
            "ecochain_model_info", "The model that serves.", ("model", "accuracy"), registry=registry
        ).labels(model.version, f"{model.accuracy:g}").set(1)

    async def classify(self, data: bytes, deadline_s: float) -> Seen:
        """Classify an encoded picture; `deadline_s` is on the monotonic clock.

        Raises UndecodableError, and Problem 503 when too many wait or the deadline passes.
        """
        with self._lock:
            if self._taken >= self._room:
                self._refused.labels("busy").inc()
                raise Problem(503, "busy", "too many pictures wait already", headers={"retry-after": "1"})
            self._taken += 1
        future = self._executor.submit(self._work, data, deadline_s)
        # Also when nobody waits for it any more: its place is free only once the thread is done with it.
        future.add_done_callback(self._leave)
        try:
            async with asyncio.timeout(deadline_s - time.monotonic()):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            self._refused.labels("deadline").inc()
            raise Problem(503, "deadline", "the picture was not classified in the time there was") from error
        except UndecodableError:
            self._refused.labels("undecodable").inc()
            raise

    def _leave(self, _done: Future[Seen]) -> None:
        with self._lock:
            self._taken -= 1

    def _work(self, data: bytes, deadline_s: float) -> Seen:
        if time.monotonic() > deadline_s:
            raise TimeoutError
        with self._busy.track_inprogress():
            with self._stages.labels("decode").time():
                image = decode(data)
            with self._stages.labels("features").time():
                vector = features(image)
            with self._stages.labels("model").time():
                found = self.model.probabilities(vector)
        label, confidence = self.model.classes[int(found.argmax())], float(found.max())
        self._labels.labels(label).inc()
        self._confidence.observe(confidence)
        shares = {name: float(share) for name, share in zip(self.model.classes, found, strict=True)}
        return Seen(label=label, confidence=confidence, probabilities=shares)
