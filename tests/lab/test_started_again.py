"""A machine's kubelet is started again while it fails: its runtime may listen before it is ready."""

from __future__ import annotations

from pathlib import Path

from core.processes import run
from lab.components import started_again


def test_a_program_that_fails_is_started_again_and_one_that_ended_well_is_not(tmp_path: Path) -> None:
    """It fails twice, by a status and by a signal; each time it has its own name and all its words."""
    program, told = tmp_path / "kubelet", tmp_path / "told"
    program.write_text(
        f'#!/bin/sh\ncat /proc/$$/comm >> {told}\necho "$#" "$1" >> {told}\n'
        f"case $(wc -l < {told}) in\n2) exit 1 ;;\n4) kill -9 $$ ;;\nesac\n"
    )
    program.chmod(0o755)
    run(started_again([str(program), "--a=two words", "--b"]), timeout_s=20)
    assert told.read_text() == "kubelet\n2 --a=two words\n" * 3
