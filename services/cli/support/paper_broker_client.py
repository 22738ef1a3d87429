"""Control API of a paper broker, as the commands speak it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from deploy.compose.secret_files import named_broker_credentials
from deploy.local.secrets.credentials import PAPER, Credentials
from deploy.local.state.data_directory import DataDirectory, default_data_dir
from services.cli.support.api_client import TIMEOUT_S, Refused
from services.cli.support.running_stack import RunningStack
from shared.errors import ConfigurationError, Unavailable
from shared.http.clients import open_client, why_silent
from shared.settings import load_settings


class PaperBrokerClient:
    """A paper broker with the credentials of one account; `transport` carries the requests, by default the network."""

    def __init__(
        self, root_url: str, credentials: Mapping[str, str], transport: httpx.BaseTransport | None = None
    ) -> None:
        self._root_url = root_url
        headers = {"Authorization": f"token {credentials['api_key']}:{credentials['access_token']}"}
        self._client = open_client(root_url, headers, TIMEOUT_S, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the data of the answer.

        Raises
        ------
        Refused
            The broker answered with an error.
        Unavailable
            It does not answer, or is no paper broker.
        """
        try:
            response = self._client.request(method, path, json=body)
            answer = response.json()
            if response.is_success:
                return answer["data"]
            refused = Refused(response.status_code, str(answer["error_type"]), str(answer["message"]))
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._root_url} does not answer: {why_silent(error)}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"{self._root_url} does not answer as a paper broker does") from error
        raise refused


def open_paper_broker(root_url: str, data_dir: Path | None) -> PaperBrokerClient:
    """Return a client of the paper broker at a URL, with EXITFLOW_BROKER_CREDENTIALS; without one, of a local stack's.

    Raises
    ------
    ConfigurationError
        A URL is given, and the credentials are not.
    NotFound
        No stack runs in the directory.
    """
    if not root_url:
        stack = RunningStack.running_in(data_dir or default_data_dir())
        kept = Credentials.of(DataDirectory(stack.data_dir).secrets_file).broker_credentials()
        return PaperBrokerClient(stack.described["paper_broker"], json.loads(kept)[PAPER])
    setting = load_settings().broker_credentials
    if setting is None:
        raise ConfigurationError("EXITFLOW_BROKER_CREDENTIALS is not set; the paper broker needs an account's token")
    return PaperBrokerClient(root_url, named_broker_credentials(setting.get_secret_value(), PAPER))
