"""The iptables chains of acts in a network namespace: made whole, removed whole, found by their prefix."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from chaos.node import kernel_tables, netns
from core.errors import CommandError, EnvironmentFailedError, RefusedError
from core.processes import run

PREFIX = "ECOCHAIN-CHAOS-"
TABLES = ("filter", "nat")
_PROGRAMS = {4: "iptables", 6: "ip6tables"}
_WAIT = ("-w", "5")
# Two acts may begin and end in one namespace at a time: what is read must still hold when it is written.
_lock = threading.Lock()
_IPV6_GLOBAL = "00"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of an act's chain beneath a hook (OUTPUT, INPUT); `words` follow the chain's name."""

    hook: str
    words: tuple[str, ...]
    table: str = "filter"
    family: int = 4


def name_of(act_id: str, hook: str = "") -> str:
    """Return the name of an act's chain, at most 28 characters as iptables demands."""
    return f"{PREFIX}{hashlib.sha256(act_id.encode()).hexdigest()[:9]}-{hook[:1]}"


def families(inode: int) -> tuple[int, ...]:
    """Return the families (4, 6) that the namespace has global addresses of; always 4."""

    def read() -> tuple[int, ...]:
        path = Path("/proc/thread-self/net/if_inet6")
        lines = path.read_text().splitlines() if path.exists() else []
        return (4, 6) if any(line.split()[3] == _IPV6_GLOBAL for line in lines) else (4,)

    return netns.call(inode, read)


def rehearse(rules: Sequence[Rule]) -> None:
    """Make the rules in a network namespace that is gone afterwards; RefusedError where the kernel cannot."""
    for family, script in _scripts("rehearsal", rules):
        try:
            run(["unshare", "--net", f"{_PROGRAMS[family]}-restore", *_WAIT], timeout_s=20, stdin=script)
        except CommandError as error:
            raise RefusedError(
                f"this node's kernel does not take the rules that are needed: {error}"
            ) from error


def install(inode: int, act_id: str, rules: Sequence[Rule]) -> None:
    """Make an act's chains; each table's at once."""
    with _lock:
        for family, script in _scripts(act_id, rules):
            netns.run(inode, [f"{_PROGRAMS[family]}-restore", "--noflush", *_WAIT], stdin=script)


def remove(inode: int, act_id: str) -> None:
    """Remove an act's chains, if the namespace is there and has any.

    A table of a pod that then has no rule goes too, and with it the tracking of connections that it brought.
    """
    if netns.pid_in(inode) is None:
        return
    own = name_of(act_id)
    with _lock:
        for family, program in _PROGRAMS.items():
            script: list[str] = []
            touched: list[str] = []
            for table, lines in _saved(inode, family).items():
                chains = [name for name in _chains(lines) if name.startswith(own)]
                if chains:
                    touched.append(table)
                    script += [
                        f"*{table}",
                        *(line.replace("-A", "-D", 1) for line in lines if _jump(line) in chains),
                        *(f"-F {name}" for name in chains),
                        *(f"-X {name}" for name in chains),
                        "COMMIT",
                    ]
            if touched:
                restore = [f"{program}-restore", "--noflush", *_WAIT]
                netns.run(inode, restore, stdin="\n".join(script) + "\n")
                _drop_empty(inode, family, touched)


def found(inodes: Iterable[int]) -> list[tuple[int, str, str]]:
    """Return namespace, table and name of every chain with the prefix, whoever made it."""
    return [
        (inode, f"{_PROGRAMS[family]} {table}", name)
        for inode in inodes
        if not _known_without(inode)
        for family in _PROGRAMS
        for table, lines in _saved(inode, family).items()
        for name in _chains(lines)
        if name.startswith(PREFIX)
    ]


def _known_without(inode: int) -> bool:
    """Tell that the kernel has no such name there, without the cost of the programs; False: unknown."""
    if "nf_tables" not in _version():
        return False
    try:
        return not kernel_tables.names_chain(inode, PREFIX)
    except (OSError, EnvironmentFailedError):
        return False


@lru_cache
def _version() -> str:
    return run([_PROGRAMS[4], "-V"], timeout_s=10).stdout


def _scripts(act_id: str, rules: Sequence[Rule]) -> list[tuple[int, str]]:
    scripts = []
    for family in sorted({rule.family for rule in rules}):
        lines: list[str] = []
        for table in TABLES:
            own = [rule for rule in rules if (rule.family, rule.table) == (family, table)]
            if not own:
                continue
            hooks = sorted({rule.hook for rule in own})
            lines += [f"*{table}", *(f":{name_of(act_id, hook)} - [0:0]" for hook in hooks)]
            lines += [f"-A {name_of(act_id, rule.hook)} {' '.join(rule.words)}" for rule in own]
            lines += [f"-I {hook} 1 -j {name_of(act_id, hook)}" for hook in hooks]
            lines += ["COMMIT"]
        scripts.append((family, "\n".join(lines) + "\n"))
    return scripts


def _saved(inode: int, family: int) -> dict[str, list[str]]:
    """Return the lines of iptables-save by table; none where the namespace or the family is not there."""
    try:
        done = netns.run(inode, [f"{_PROGRAMS[family]}-save"], check=False)
    except EnvironmentFailedError:
        if netns.pid_in(inode) is not None:
            raise
        return {}
    tables: dict[str, list[str]] = {}
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        if line.startswith("*"):
            tables[line[1:]] = lines = []
        elif tables:
            lines.append(line)
    return tables


def _chains(lines: Sequence[str]) -> list[str]:
    return [line[1:].split()[0] for line in lines if line.startswith(":")]


def _jump(line: str) -> str | None:
    match = re.fullmatch(r"-A \S+ -j (\S+)", line)
    return match[1] if match else None


def _drop_empty(inode: int, family: int, tables: Sequence[str]) -> None:
    if inode == netns.of_container(""):
        return
    saved = _saved(inode, family)
    for table in tables:
        lines = saved.get(table, [])
        closed = [line for line in lines if line.startswith(":") and line.split()[1] != "ACCEPT"]
        if not closed and not any(line.startswith("-A") for line in lines):
            netns.run(inode, [_PROGRAMS[family], *_WAIT, "-t", table, "-X"], check=False)
