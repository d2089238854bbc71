"""The acts that a node's agent has open: noted before they begin, ended when their time is over."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from chaos.agents import Act
from chaos.node.act_kind import ActKind
from chaos.node.notes import Notes
from core.errors import MisuseError

_LOOK_S = 0.1
_RETRY_S = 1.0


@dataclass(kw_only=True)
class _Open:
    """One act. `lock` is held while it begins and while it ends; the rest is guarded by it."""

    act: Act
    noted: dict[str, Any]
    begun_s: float
    kept_s: float
    lifetime_s: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    gone: bool = False
    doomed: bool = False  # to be ended as soon as possible, and however often it takes
    tried_s: float = 0.0

    def left_s(self, now_s: float) -> float:
        """Return for how long it may go on, if nobody keeps it."""
        if self.doomed:
            return 0.0
        return min(self.kept_s + self.lifetime_s, self.begun_s + self.act.longest_s) - now_s


class OpenActs:
    """Begins and ends acts; `clock` is monotonic seconds.

    What the notes hold at the start is from an agent that died, and is undone: nobody knows whether it still
    has its effect. An undoing that fails is tried again each second, and stays noted until it succeeds.
    """

    def __init__(
        self, notes: Notes, kinds: Mapping[str, ActKind], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._notes, self._kinds, self._clock = notes, kinds, clock
        self._lock = threading.Lock()  # of the two below; never held during an act
        self._open: dict[str, _Open] = {}
        self._ended: set[str] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Undo what an agent before this one left, and watch the time from now on."""
        now_s = self._clock()
        for act, noted in self._notes.read()[0]:
            self._open[act.id] = _Open(
                act=act, noted=noted, begun_s=now_s, kept_s=now_s, lifetime_s=0.0, doomed=True
            )
        self.expire()
        self._thread = threading.Thread(target=self._watch, name="expiry", daemon=True)
        self._thread.start()

    def close(self) -> list[str]:
        """End every act and watch no more; returns the ids of those whose undoing failed."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            acts = list(self._open.values())
        for one in acts:
            one.doomed, one.tried_s = True, 0.0
            with one.lock:
                self._end(one)
        with self._lock:
            return sorted(self._open)

    def begin(self, act: Act) -> Mapping[str, Any]:
        """Note an act and do it; the same act again changes nothing and returns the same.

        Raises MisuseError before anything is touched; whatever else it raises, the act is undone.
        """
        kind = self._kinds.get(act.kind)
        if kind is None:
            raise MisuseError(f"kind: expected one of {', '.join(sorted(self._kinds))}, got {act.kind!r}")
        now_s = self._clock()
        one = _Open(act=act, noted={}, begun_s=now_s, kept_s=now_s, lifetime_s=act.lifetime_s)
        with one.lock:
            with self._lock:
                if self._stop.is_set():
                    raise MisuseError(f"act {act.id}: the agent is leaving")
                if act.id in self._ended:
                    raise MisuseError(f"act {act.id}: it has ended; an act is begun once")
                already = self._open.setdefault(act.id, one)
            if already is not one:
                with already.lock:
                    if already.doomed:
                        raise MisuseError(f"act {act.id}: it has ended; an act is begun once")
                    return already.evidence
            try:
                kind.check(act)
                self._notes.write(act, one.noted)
            except BaseException:
                self._forget(one)
                raise
            try:
                did = kind.begin(act, self._noting(one))
                one.evidence = {"act_id": act.id, "lasts": kind.LASTS, **did}
            except BaseException:
                one.doomed = True
                self._end(one)
                raise
            one.kept_s = self._clock()
            if not kind.LASTS:
                self._forget(one)
            return one.evidence

    def end(self, act_id: str) -> None:
        """Undo an act; nothing happens when it is undone or was never begun, which it then never will be."""
        with self._lock:
            self._ended.add(act_id)
            one = self._open.get(act_id)
        if one is None:
            return
        with one.lock:
            one.doomed, one.tried_s = True, 0.0
            self._end(one, again=True)

    def keep(self, ids: Iterable[str], lifetime_s: float | None) -> Mapping[str, Any]:
        """Give the acts another lifetime from now on; names those that are not open."""
        now_s = self._clock()
        known: list[str] = []
        unknown: list[str] = []
        for act_id in ids:
            with self._lock:
                one = self._open.get(act_id)
            if one is None or one.doomed:
                unknown.append(act_id)
                continue
            one.kept_s = now_s
            if lifetime_s is not None:
                one.lifetime_s = lifetime_s
            known.append(act_id)
        return {"kept": known, "unknown": unknown}

    def listed(self) -> list[dict[str, Any]]:
        """Return the open acts, with the seconds that each has left."""
        now_s = self._clock()
        with self._lock:
            acts = list(self._open.values())
        return [
            {**asdict(one.act), "age_s": now_s - one.begun_s, "left_s": max(0.0, one.left_s(now_s))}
            for one in acts
        ]

    def expire(self) -> None:
        """End the acts whose time is over."""
        now_s = self._clock()
        with self._lock:
            acts = [one for one in self._open.values() if one.left_s(now_s) <= 0]
        for one in acts:
            # One that begins or ends just now is looked at next time: the others do not wait for it.
            if (one.doomed and now_s - one.tried_s < _RETRY_S) or not one.lock.acquire(blocking=False):
                continue
            try:
                one.doomed, one.tried_s = True, now_s
                self._end(one)
            finally:
                one.lock.release()

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_S):
            self.expire()

    def _noting(self, one: _Open) -> Callable[..., None]:
        def note(**data: Any) -> None:
            one.noted.update(data)
            self._notes.write(one.act, one.noted)

        return note

    def _end(self, one: _Open, *, again: bool = False) -> None:
        """Undo it and forget it; a failure is told, and raised too with `again`. Its lock is held."""
        if one.gone:
            return
        try:
            self._kinds[one.act.kind].end(one.act, one.noted)
        except Exception as error:
            print(f"act {one.act.id} ({one.act.kind}): not undone: {error!r}", file=sys.stderr, flush=True)  # noqa: T201
            if again:
                raise
            return
        self._forget(one)

    def _forget(self, one: _Open) -> None:
        one.gone = True
        self._notes.remove(one.act.id)
        with self._lock:
            self._open.pop(one.act.id, None)
            self._ended.add(one.act.id)
