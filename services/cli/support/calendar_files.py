"""Files of market calendars: TOML or JSON."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from shared.contracts.calendars import CalendarFile
from shared.contracts.events import describe
from shared.errors import InvalidInput, unreadable

_READERS: Final[Mapping[str, Callable[[str], Any]]] = MappingProxyType({".toml": tomllib.loads, ".json": json.loads})


def read_calendars(file: Path) -> CalendarFile:
    """Return the calendars in a file.

    Raises
    ------
    InvalidInput
        The file cannot be read, has another format, or describes no valid calendars.
    """
    read = _READERS.get(file.suffix.lower())
    if read is None:
        raise InvalidInput(f"{file}: unknown format; use {' or '.join(_READERS)}")
    try:
        return CalendarFile.model_validate(read(file.read_text(encoding="utf-8-sig")))
    except ValidationError as error:
        raise InvalidInput(f"{file}: {describe(error)}") from error
    except OSError as error:
        raise unreadable(file, error) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{file}: {error}") from error
