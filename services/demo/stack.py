"""The demo's stack: a running one, or a temporary one for the duration of the demo."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local.kafka.selection import KafkaChoice
from deploy.local.stack import stack
from deploy.local.state.data_directory import DataDirectory
from shared.errors import Unavailable

Say = Callable[[str], None]


@contextmanager
def data_directory(wanted: Path | None, *, keep: bool, say: Say) -> Iterator[Path]:
    """Provide the given directory, or a temporary one, removed afterwards unless `keep`."""
    if wanted is not None:
        yield wanted
        return
    temporary = Path(tempfile.mkdtemp(prefix="exitflow-demo-"))
    try:
        yield temporary
    finally:
        if keep:
            say(f"kept {temporary}")
        else:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def running_stack(data_dir: Path, kafka: KafkaChoice, say: Say) -> Iterator[dict[str, Any]]:
    """Return the ``stack.json`` of a ready stack; start and stop one unless it already runs.

    Raises
    ------
    Unavailable
        It did not start; `say` was told why.
    """
    if stack.status(data_dir).running:
        say(f"using the stack running in {data_dir}")
        yield stack.read_stack(data_dir)
        return
    try:
        if stack.up_detached(stack.StackOptions(data_dir, kafka), say) != 0:
            raise Unavailable(f"the stack did not start; its logs are in {DataDirectory(data_dir).logs}")
        yield stack.read_stack(data_dir)
    finally:
        stack.down(data_dir, say)
