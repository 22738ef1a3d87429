"""Style sheet, scripts and icon: served under names with a hash of their content, for browsers to keep."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parent / "static"
KEPT = "public, max-age=31536000, immutable"
_HASH_CHARACTERS = 12


def static_url(name: str) -> str:
    """Return the URL of a static file; it changes with the content."""
    return f"/static/{name}?v={_VERSIONS[name]}"


def _versions() -> dict[str, str]:
    files = (file for file in STATIC.rglob("*") if file.is_file())
    return {
        str(file.relative_to(STATIC)): hashlib.sha256(file.read_bytes()).hexdigest()[:_HASH_CHARACTERS]
        for file in files
    }


_VERSIONS = _versions()


class KeptFiles(StaticFiles):
    """Static files for browsers to keep for a year."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file; allow keeping it if it was found."""
        response = await super().get_response(path, scope)
        if response.status_code in (200, 304):
            response.headers["Cache-Control"] = KEPT
        return response
