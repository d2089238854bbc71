"""The agent on a node: it disturbs the node on command, undoes that by itself, and measures.

`python -m chaos.node.agent SETTINGS.json`, with {token, port, folder, host?}: commands of an outbox
(core.outbox) on the node's address, in the pod's PID namespace, which is the node's.

    begin       {id, kind, node, container_id, params, lifetime_s, longest_s} → the act's evidence
    end         {id} → {}
    keep        {ids, lifetime_s?} → {kept, unknown}
    acts        {} → {node, kinds, questions, acts: [open ones]}
    ask         {question, …} → the answer
    remainders  {} → {remainders: [{kind, where, what}]}
    leave       {} → {left: [ids that could not be undone]}; ends all, and removes the folder of the notes

A refusal (MisuseError) is answered with 400, a failure with 500. It acts on no container of its own, and
undoes all that is open when it is asked to end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaos.agents import Act
from chaos.node import departure
from chaos.node.act_kind import ActKind
from chaos.node.acts import ACTS
from chaos.node.notes import Notes
from chaos.node.open_acts import OpenActs
from chaos.node.questions import QUESTIONS, Question
from core.errors import MisuseError
from core.outbox import Outbox

_ACT_FIELDS = frozenset({"id", "kind", "node", "container_id", "params", "lifetime_s", "longest_s"})
_LONGEST_S = 3600.0


class Agent:
    """The commands of a node's agent; `node` is the node's name, as Kubernetes has it."""

    def __init__(
        self,
        node: str,
        notes: Notes,
        *,
        acts: Mapping[str, ActKind] = ACTS,
        questions: Mapping[str, Question] = QUESTIONS,
    ) -> None:
        self._node, self._notes, self._kinds, self._questions = node, notes, acts, questions
        self.open = OpenActs(notes, acts)
        self.commands = {
            "begin": self._begin,
            "end": self._end,
            "keep": self._keep,
            "acts": self._acts,
            "ask": self._ask,
            "remainders": self._remainders,
            "leave": self._leave,
        }

    def _begin(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        strange = set(body) - _ACT_FIELDS
        if strange:
            raise MisuseError(f"act: expected {sorted(_ACT_FIELDS)}, got {sorted(strange)} too")
        act = Act(**body)
        if act.node != self._node:
            raise MisuseError(f"act {act.id}: expected one on node {self._node}, got {act.node!r}")
        for name, value in (("lifetime_s", act.lifetime_s), ("longest_s", act.longest_s)):
            if not 0 < value <= _LONGEST_S:
                raise MisuseError(
                    f"act {act.id}: {name}: expected 0 < seconds <= {_LONGEST_S:g}, got {value}"
                )
        return self.open.begin(act)

    def _end(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.open.end(str(body["id"]))
        return {}

    def _keep(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        lifetime_s = body.get("lifetime_s")
        return self.open.keep(map(str, body["ids"]), None if lifetime_s is None else float(lifetime_s))

    def _acts(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "node": self._node,
            "kinds": sorted(self._kinds),
            "questions": sorted(self._questions),
            "acts": self.open.listed(),
        }

    def _ask(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        params = dict(body)
        name = params.pop("question", None)
        question = self._questions.get(str(name))
        if question is None:
            raise MisuseError(f"question: expected one of {', '.join(sorted(self._questions))}, got {name!r}")
        return question.ask(**params)

    def _remainders(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        found: list[Mapping[str, Any]] = []
        for name, kind in self._kinds.items():
            try:
                found += [{"kind": name, **one} for one in kind.remainders()]
            except Exception as error:  # noqa: BLE001 - what cannot be looked for counts as left
                found.append({"kind": name, "where": "the node", "what": f"not looked for: {error!r}"})
        open_ids = {one["id"] for one in self.open.listed()}
        noted, strange = self._notes.read()
        found += [
            {"kind": "note", "where": act.id, "what": f"a note of {act.kind} that is not open"}
            for act, _ in noted
            if act.id not in open_ids
        ]
        found += [{"kind": "note", "where": one, "what": "a file that is no note"} for one in strange]
        return {"remainders": found}

    def _leave(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        left = self.open.close()
        if not left:
            departure.remove_folder(self._notes.folder)
        return {"left": left}


def serve(settings: Mapping[str, Any], node: str, host: str) -> list[str]:
    """Serve until SIGTERM or SIGINT; returns the ids of the acts that could not be undone at the end."""
    agent = Agent(node, Notes(Path(settings["folder"])))
    agent.open.start()
    outbox = Outbox(
        settings["token"],
        time.time,
        host=host,
        port=int(settings["port"]),
        commands=agent.commands,
        concurrent=True,
    )
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    outbox.start()
    ended.wait()
    outbox.close()
    return agent.open.close()


if __name__ == "__main__":
    told = json.loads(Path(sys.argv[1]).read_text())
    sys.exit(1 if serve(told, os.environ["NODE_NAME"], os.environ["NODE_ADDRESS"]) else 0)
