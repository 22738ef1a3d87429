"""Connection of commands: a local stack or the settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from services.cli.support.running_stack import RunningStack
from shared.settings import Settings, load_settings

_CONNECTION_SETTINGS = frozenset({"exit_api_url", "trade_api_url", "public_token", "kafka_bootstrap_servers"})


@dataclass(frozen=True)
class Target:
    """A running system, as its users reach it."""

    exit_api: str
    trade_api: str
    kafka_bootstrap_servers: str
    token: str | None = field(repr=False)

    @classmethod
    def choose(cls, data_dir: Path | None) -> Self:
        """Choose the stack of `data_dir` if given; else the settings if any is set; else the default stack.

        Raises
        ------
        NotFound
            No stack runs in the named directory, or in the default one if it is needed.
        """
        settings = load_settings()
        stack = RunningStack.chosen(data_dir, settings, _CONNECTION_SETTINGS)
        return cls.of_settings(settings) if stack is None else cls.of_stack(stack.described)

    @classmethod
    def of_stack(cls, stack: dict[str, Any]) -> Self:
        """Build the target from a ``stack.json``."""
        return cls(stack["exit_api"], stack["trade_api"], stack["kafka_bootstrap_servers"], stack["token"])

    @classmethod
    def of_settings(cls, settings: Settings) -> Self:
        """Build the target from the settings."""
        token = settings.public_token
        return cls(
            settings.exit_api_url,
            settings.trade_api_url,
            settings.kafka_bootstrap_servers,
            token.get_secret_value() if token else None,
        )

    def settings(self) -> Settings:
        """Return the settings with this target's Kafka."""
        return load_settings().model_copy(update={"kafka_bootstrap_servers": self.kafka_bootstrap_servers})
