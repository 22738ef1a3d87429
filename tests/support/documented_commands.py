"""Every command shown by README and documentation in a block of a shell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CLAIMS = ROOT / "tests/contract/documented_commands.toml"
SHELL = "sh"
COMMENT = re.compile(r"(?:^|\s+)#(?=\s).*$")
PROGRAMS = frozenset({"cd", "curl", "docker", "exitflow", "export", "git", "make", "mkdir", "node", "pip",
                      "psql", "python", "source"})  # fmt: skip
"""Programs a block of another language may not begin a line with."""


@dataclass(frozen=True)
class DocumentedCommand:
    """A command and its page, relative to the repository; lines joined by a backslash, a loop or a quote are one."""

    page: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def documented_commands() -> list[DocumentedCommand]:
    """Return every command of every page, in order."""
    return [
        DocumentedCommand(str(page.relative_to(ROOT)), text) for page in PAGES for text in commands_in(page.read_text())
    ]


def commands_in(text: str) -> Iterator[str]:
    """Yield the commands of a page's blocks of a shell, without comments."""
    for indentation, language, body in BLOCK.findall(text):
        if language == SHELL:
            yield from _commands([line.removeprefix(indentation) for line in body.splitlines()])


def hidden_commands(text: str) -> list[str]:
    """Return the lines of other blocks beginning with a program: their block should be one of a shell."""
    return [
        line
        for _, language, body in BLOCK.findall(text)
        if language != SHELL
        for line in body.splitlines()
        if line.lstrip(" $").partition(" ")[0] in PROGRAMS
    ]


def _commands(lines: list[str]) -> Iterator[str]:
    open_lines: list[str] = []
    for line in lines:
        told = COMMENT.sub("", line).strip()
        if not told and not open_lines:
            continue
        open_lines.append(told)
        joined = "\n".join(open_lines)
        if not _is_open(joined):
            yield joined.replace("\\\n", " ")
            open_lines = []
    assert not open_lines, open_lines


def _is_open(text: str) -> bool:
    is_loop = text.startswith("for ") and not text.endswith("done")
    return text.endswith("\\") or is_loop or text.count('"') % 2 == 1


def claims() -> dict[str, dict[str, list[str]]]:
    """Return the patterns of commands by test by page."""
    found: dict[str, dict[str, list[str]]] = tomllib.loads(CLAIMS.read_text())
    return found


def claim_of(command: DocumentedCommand) -> tuple[str, str] | None:
    """Return the test of a command and the pattern with the claim; None without a test."""
    for test, patterns in claims().get(command.page, {}).items():
        for pattern in patterns:
            if fnmatchcase(command.text, pattern):
                return test, pattern
    return None


def claimed_by(test: str) -> list[str]:
    """Return the commands claimed by a test, of all pages."""
    return [each.text for each in documented_commands() if (claim := claim_of(each)) and claim[0] == test]
