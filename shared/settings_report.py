"""Settings as a reader sees them: name, default, meaning, value and origin, without secrets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from shared.settings import PREFIX, Settings

MASK = "********"


class Origin(StrEnum):
    """The source of a value."""

    DEFAULT = "default"
    ENVIRONMENT = "environment"
    FILE = "file"


@dataclass(frozen=True)
class DescribedSetting:
    """A setting as it is declared."""

    name: str
    default: str
    meaning: str
    secret: bool


@dataclass(frozen=True)
class ReportedSetting(DescribedSetting):
    """A setting as this process has it; the value of a secret is masked."""

    value: str
    origin: Origin


def described_settings() -> list[DescribedSetting]:
    """Return every setting in the order of its declaration."""
    return [_described(name, field) for name, field in Settings.model_fields.items()]


def reported_settings(settings: Settings) -> list[ReportedSetting]:
    """Return every setting with its value in `settings` and the origin of the value."""
    return [
        ReportedSetting(**vars(_described(name, field)), value=_text(getattr(settings, name)), origin=_origin(name))
        for name, field in Settings.model_fields.items()
    ]


def _described(name: str, field: FieldInfo) -> DescribedSetting:
    secret = "SecretStr" in str(field.annotation)
    return DescribedSetting(PREFIX + name.upper(), _text(field.default), field.description or "", secret)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _origin(name: str) -> Origin:
    variable = (PREFIX + name).upper()
    if any(each.upper() == variable for each in os.environ):
        return Origin.ENVIRONMENT
    folder = os.environ.get(f"{PREFIX}SECRETS_DIR")
    if folder and (Path(folder) / variable.lower()).is_file():
        return Origin.FILE
    return Origin.DEFAULT
