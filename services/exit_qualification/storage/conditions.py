"""Conditions on rows named by a request."""

from __future__ import annotations

from dataclasses import fields


class Conditions:
    """Base of dataclasses whose fields are conditions; None is none."""

    @property
    def is_empty(self) -> bool:
        """Return whether no condition is given."""
        return not self.facts()

    def facts(self) -> dict[str, str]:
        """Return the given conditions."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]  # subclasses
        return {name: str(value) for name, value in given.items() if value is not None}
