"""Files of lines as input of commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from shared.errors import InvalidInput, unreadable

Line = TypeVar("Line")


def read_input_file(file: Path, read: Callable[[Iterable[str]], list[Line]]) -> list[Line]:
    """Return the result of `read` for the lines of a UTF-8 file, with or without a byte order mark.

    Raises
    ------
    InvalidInput
        The file cannot be read, or `read` refuses its lines; the message begins with its name.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return read(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(file, error) from error
    except InvalidInput as error:
        raise InvalidInput(f"{file}: {error}") from error
