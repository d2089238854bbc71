"""Tables in docs/ that a command writes: it replaces its own part of the file and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from core.errors import MisuseError
from core.files import write_atomic


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def replace_part(document: Path, name: str, text: str) -> None:
    """Put `text` between the marks `<!-- name -->` and `<!-- /name -->` of a document.

    Raises MisuseError if the document does not have both once.
    """
    whole = document.read_text()
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(whole)) != 1:
        raise MisuseError(f"{document}: expected one part from {begin!r} to {end!r}")
    write_atomic(document, pattern.sub(lambda _: f"{begin}\n{text.strip()}\n{end}", whole))
