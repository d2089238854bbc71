"""The one tree of errors.

VerifyError
├── MisuseError            the caller's input is wrong; nothing was touched (exit 2)
│   ├── SettingsError      a settings, scenario or values file
│   └── RefusedError       a guard or a precondition of this machine said no
├── EnvironmentFailedError the environment could not be made or cleaned (exit 4)
│   ├── CommandError       an outside program failed
│   └── WaitTimeoutError   a described condition did not come true in time
└── InconclusiveError      the run cannot know: becomes the verdict INCONCLUSIVE (exit 3)
"""

from __future__ import annotations

from collections.abc import Sequence


class VerifyError(Exception):
    """Base of every error that this project raises on purpose; `str()` is one clear message."""

    exit_code = 4


class MisuseError(VerifyError):
    """The caller's input is wrong; nothing was touched."""

    exit_code = 2


class SettingsError(MisuseError):
    """A data file is wrong: names the file, the key, what was expected and what was got."""

    def __init__(self, file: object, key: str, expected: str, got: object) -> None:
        self.file, self.key, self.expected, self.got = str(file), key, expected, got
        super().__init__(f"{file}: {key}: expected {expected}, got {got!r}")


class RefusedError(MisuseError):
    """A guard or a precondition refused before anything was changed."""


class EnvironmentFailedError(VerifyError):
    """The environment could not be made, reached or cleaned."""

    exit_code = 4


class CommandError(EnvironmentFailedError):
    """An outside program ended badly; carries its command, exit status and last lines of output."""

    def __init__(self, argv: Sequence[str], status: int | str, output: str) -> None:
        self.argv, self.status, self.output = list(argv), status, output
        tail = "\n".join(output.strip().splitlines()[-15:])
        super().__init__(f"{' '.join(argv[:6])}{' …' if len(argv) > 6 else ''}: exit {status}\n{tail}")


class WaitTimeoutError(EnvironmentFailedError):
    """A described condition did not come true within its deadline."""

    def __init__(self, description: str, timeout_s: float, last: object) -> None:
        self.description, self.timeout_s, self.last = description, timeout_s, last
        super().__init__(f"waited {timeout_s:g} s for {description}; last seen: {last!r}")


class InconclusiveError(VerifyError):
    """The evidence does not allow a verdict; the message is the reason that the verdict carries."""

    exit_code = 3
