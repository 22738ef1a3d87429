"""Query the readiness of processes over HTTP and print their problems.

Standard library only: a container engine runs this beside every process every few seconds, and loading the whole CLI
would cost ten times as much.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

ASK_LIMIT_S = 4
SILENT = "does not answer"
"""Beginning of the problem of a process without an answer."""
OK = 200


def main() -> None:
    """Ask the roots named by the arguments, or the process of this environment; exit 1 if one is not ready."""
    sys.exit(report(sys.argv[1:]))


def report(root_urls: Sequence[str], *, as_json: bool = False) -> int:
    """Print a line or an object for each process; 0 if all are ready, 1 if not, 2 if it is not known whom to ask."""
    asked = root_urls or own_root(os.environ.get("EXITFLOW_HTTP_PORT"))
    if not asked:
        print("exitflow: name a URL, or set EXITFLOW_HTTP_PORT", file=sys.stderr)
        return 2
    wrong = [(url, problem_of(url)) for url in asked]
    if as_json:
        found = [{"url": url, "ready": problem is None, "problem": problem} for url, problem in wrong]
        print(json.dumps(found, indent=2))
    else:
        for url, problem in wrong:
            print(f"{url}: {problem or 'ready'}")
    return 1 if any(problem for _, problem in wrong) else 0


def own_root(port: str | None) -> list[str]:
    """Return the root URL of this machine's process on this port; nothing without a port."""
    return [f"http://127.0.0.1:{port}"] if port else []


def problem_of(root_url: str) -> str | None:
    """Return the process's readiness problem; None if it is ready."""
    try:
        status, body = _get(root_url, "/readyz")
    except (OSError, http.client.HTTPException) as error:
        return f"{SILENT} ({getattr(error, 'strerror', None) or error or type(error).__name__})"
    return None if status == OK else _told(status, body)


def _get(root_url: str, path: str) -> tuple[int, bytes]:
    parts = urlsplit(root_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ASK_LIMIT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _told(status: int, body: bytes) -> str:
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return f"not ready ({status}): {detail or 'no reason given'}"


if __name__ == "__main__":
    main()
