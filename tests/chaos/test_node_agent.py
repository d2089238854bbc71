"""A node's agent over its commands: what it notes, when it undoes, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from chaos.agents import Act
from chaos.node.act_kind import Note
from chaos.node.agent import Agent
from chaos.node.notes import Notes
from chaos.node.open_acts import OpenActs
from core.errors import MisuseError, RefusedError
from core.waiting import wait_until


class FakeKind:
    """A kind of act that keeps what it does in a set, as a node's kernel would."""

    KIND, LASTS = "fake", True

    def __init__(self, notes: Notes) -> None:
        self.done: set[str] = set()
        self.broken: list[str] = []  # where it fails: check, begin, end
        self.noted_when_begun: list[tuple[Act, dict[str, Any]]] = []
        self._notes = notes

    def check(self, act: Act) -> None:  # noqa: ARG002
        if "check" in self.broken:
            raise RefusedError("this kernel lacks it")

    def begin(self, act: Act, note: Note) -> Mapping[str, Any]:
        note(mark=act.id)
        self.noted_when_begun = self._notes.read()[0]
        self.done.add(act.id)
        if "begin" in self.broken:
            raise OSError("half done")
        return {"did": act.id}

    def end(self, act: Act, noted: Mapping[str, Any]) -> None:  # noqa: ARG002
        if "end" in self.broken:
            raise OSError("cannot be undone just now")
        self.done.discard(noted.get("mark", ""))

    def remainders(self) -> list[Mapping[str, Any]]:
        if "remainders" in self.broken:
            raise OSError("cannot look")
        return [{"where": one, "what": "done"} for one in sorted(self.done)]


class Clock:
    """A monotonic clock that tests turn."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path / "notes")


@pytest.fixture
def kind(notes: Notes) -> FakeKind:
    return FakeKind(notes)


def act(name: str = "one", **more: Any) -> dict[str, Any]:
    return {"id": name, "kind": "fake", "node": "n1", **more}


def agent(notes: Notes, kind: FakeKind) -> Agent:
    return Agent("n1", notes, acts={"fake": kind}, questions={})


def test_an_act_is_noted_before_it_is_done_and_the_note_goes_with_it(notes: Notes, kind: FakeKind) -> None:
    """What undoing needs is on disk while the act begins; after the end neither is left."""
    commands = agent(notes, kind).commands
    assert commands["begin"](act()) == {"act_id": "one", "lasts": True, "did": "one"}
    assert [(a.id, noted) for a, noted in kind.noted_when_begun] == [("one", {"mark": "one"})]
    assert commands["remainders"]({})["remainders"] == [{"kind": "fake", "where": "one", "what": "done"}]
    commands["end"]({"id": "one"})
    assert (kind.done, notes.read()) == (set(), ([], []))
    commands["end"]({"id": "one"})
    commands["end"]({"id": "never begun"})


def test_an_act_begun_twice_is_done_once_and_one_that_ended_is_never_begun(
    notes: Notes, kind: FakeKind
) -> None:
    """A lost answer may be asked for again; a request that its end has overtaken does nothing."""
    commands = agent(notes, kind).commands
    assert commands["begin"](act()) == commands["begin"](act())
    commands["end"]({"id": "late"})
    with pytest.raises(MisuseError, match="has ended"):
        commands["begin"](act("late"))
    assert kind.done == {"one"}


def test_an_act_that_nobody_keeps_expires_by_the_agents_own_clock(notes: Notes, kind: FakeKind) -> None:
    """It lasts as long as it is kept, never longer than its longest, and the others are not touched."""
    clock = Clock()
    opened = OpenActs(notes, {"fake": kind}, clock)
    opened.begin(Act(id="kept", kind="fake", node="n1", lifetime_s=6, longest_s=20))
    opened.begin(Act(id="silent", kind="fake", node="n1", lifetime_s=6, longest_s=20))
    clock.now += 5
    assert opened.keep(["kept", "stranger"], None) == {"kept": ["kept"], "unknown": ["stranger"]}
    clock.now += 2
    opened.expire()
    assert kind.done == {"kept"}
    for _ in range(3):
        clock.now += 4
        opened.keep(["kept"], None)
    opened.expire()
    assert kind.done == {"kept"}
    clock.now += 2
    opened.keep(["kept"], None)
    opened.expire()
    assert (kind.done, notes.read()) == (set(), ([], []))


def test_what_a_killed_agent_left_is_undone_when_it_starts_again(notes: Notes, kind: FakeKind) -> None:
    """The next agent on the node reads the notes, and has nothing open afterwards."""
    agent(notes, kind).commands["begin"](act())
    after = agent(notes, kind)
    assert kind.done == {"one"}
    after.open.start()
    try:
        assert (kind.done, after.open.listed(), notes.read()) == (set(), [], ([], []))
        with pytest.raises(MisuseError, match="has ended"):
            after.commands["begin"](act())
    finally:
        after.open.close()


def test_an_undoing_that_fails_stays_noted_and_is_tried_again(notes: Notes, kind: FakeKind) -> None:
    """Until it succeeds the act counts as open, on disk too, and is nobody's to keep."""
    clock = Clock()
    opened = OpenActs(notes, {"fake": kind}, clock)
    opened.begin(Act(id="one", kind="fake", node="n1", lifetime_s=1))
    kind.broken = ["end"]
    clock.now += 1
    opened.expire()
    assert (len(notes.read()[0]), opened.keep(["one"], None)["unknown"]) == (1, ["one"])
    with pytest.raises(OSError, match="just now"):
        opened.end("one")
    kind.broken = []
    clock.now += 1
    opened.expire()
    assert (kind.done, notes.read()[0]) == (set(), [])


def test_an_act_that_fails_half_way_is_undone_and_one_that_is_refused_touches_nothing(
    notes: Notes, kind: FakeKind
) -> None:
    """Both are told to the caller, and neither leaves a note."""
    commands = agent(notes, kind).commands
    kind.broken = ["begin"]
    with pytest.raises(OSError, match="half done"):
        commands["begin"](act())
    kind.broken = ["check"]
    with pytest.raises(RefusedError, match="lacks it"):
        commands["begin"](act("two"))
    assert (kind.done, notes.read()) == (set(), ([], []))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "unknown"}, "expected one of fake, got 'unknown'"),
        ({"node": "n2"}, "expected one on node n1, got 'n2'"),
        ({"id": "../etc"}, "expected letters"),
        ({"lifetime_s": 0}, "lifetime_s: expected 0 <"),
        ({"longest_s": 1e9}, "longest_s: expected 0 <"),
        ({"colour": "red"}, r"got \['colour'\] too"),
    ],
)
def test_an_act_that_is_wrong_is_refused(
    notes: Notes, kind: FakeKind, wrong: dict[str, Any], message: str
) -> None:
    """The refusal says what was expected, and nothing is done."""
    with pytest.raises(MisuseError, match=message):
        agent(notes, kind).commands["begin"](act(**wrong))
    assert (kind.done, notes.read()) == (set(), ([], []))


def test_an_agent_that_cannot_look_for_remainders_says_so_as_one(notes: Notes, kind: FakeKind) -> None:
    """Silence would pass for cleanliness; a strange file in its folder is a remainder too."""
    kind.broken = ["remainders"]
    (notes.folder / "strange").write_text("no note")
    found = agent(notes, kind).commands["remainders"]({})["remainders"]
    assert [one["kind"] for one in found] == ["fake", "note"]
    assert "not looked for" in found[0]["what"]


def test_an_agent_that_ends_undoes_what_is_open(notes: Notes, kind: FakeKind) -> None:
    """So the removal of the agents heals; what cannot be undone is named and stays noted."""
    one = agent(notes, kind)
    one.open.start()
    one.commands["begin"](act())
    one.commands["begin"](act("short", lifetime_s=0.1))
    wait_until("the short one to expire", lambda: kind.done == {"one"}, 5)
    kind.broken = ["end"]
    assert one.open.close() == ["one"]
    kind.broken = []
    assert (one.open.close(), kind.done) == ([], set())
    with pytest.raises(MisuseError, match="leaving"):
        one.commands["begin"](act("another"))
