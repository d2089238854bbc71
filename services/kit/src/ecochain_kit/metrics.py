"""A service's series: rate, errors and duration per route; a service adds its own to the registry."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Series in a registry of their own; labels never come from a client unchecked."""

    def __init__(self, version: str, pod_name: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        labels = ("method", "route", "status")
        self._requests = Counter("http_requests_total", "Requests answered.", labels, registry=self.registry)
        self._durations = Histogram(
            "http_request_duration_seconds",
            "Time from the request's head to the answer's end.",
            ("method", "route"),
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.in_flight = Gauge("http_requests_in_flight", "Requests being served.", registry=self.registry)
        self.draining = Gauge("service_draining", "1 while the service leaves.", registry=self.registry)
        self.dependency = Gauge(
            "service_dependency_up",
            "1 if it was reached when last asked.",
            ("dependency",),
            registry=self.registry,
        )
        self.calls = Histogram(
            "ecochain_upstream_seconds",
            "Calls of other services, by what came of them.",
            ("upstream", "result"),
            registry=self.registry,
        )
        self.store = Histogram(
            "ecochain_mongodb_command_seconds",
            "Commands sent to MongoDB.",
            ("command", "result"),
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        info = Gauge("service_info", "What runs here.", ("version", "pod"), registry=self.registry)
        info.labels(version, pod_name).set(1)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        method = method if method in _METHODS else "OTHER"
        self._requests.labels(method, route, str(status)).inc()
        self._durations.labels(method, route).observe(seconds)

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """Add a counter of the service's own."""
        return Counter(name, text, labels, registry=self.registry)
