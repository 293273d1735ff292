from __future__ import annotations

import socket
from collections.abc import Callable
from email.message import Message
from importlib.util import find_spec
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from pellucid.app.server import Serving, check_installed
from pellucid.errors import PellucidError, UsageError

from .conftest import Served

needs_gradio = pytest.mark.skipif(find_spec("gradio") is None, reason='needs gradio: pip install "pellucid[app]"')


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.7"])
def test_this_machine_needs_no_password(host: str) -> None:
    assert Serving(host).local


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.2", "example.com", ""])
def test_other_hosts_need_one(host: str) -> None:
    with pytest.raises(UsageError, match="--password"):
        Serving(host)
    with pytest.raises(UsageError, match="--password"):
        Serving(host, password="")
    assert not Serving(host, password="secret").local


def test_the_command_says_so(pellucid_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PELLUCID_APP_PASSWORD", raising=False)
    said = pellucid_command("app", "--host", "0.0.0.0")
    assert said.code == 2
    assert "PELLUCID_APP_PASSWORD" in said.err


def test_gradio_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.app.server.find_spec", lambda name: None)
    with pytest.raises(PellucidError, match=r'pip install "pellucid\[app\]"'):
        check_installed()


@needs_gradio
def test_a_port_that_is_taken_is_named(pellucid_command: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = pellucid_command("app", "--port", taken.getsockname()[1])
    assert said.code == 1
    assert "name another --port" in said.err


def ask(address: str, path: str, **headers: str) -> tuple[int, str, Message]:
    """What is answered: status, text and headers."""
    try:
        with urlopen(Request(address + path, None, headers)) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers


def test_scripts_are_kept_to_the_server(local: Served) -> None:
    status, text, headers = ask(local.address, "/")
    assert status == 200
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "fonts.googleapis" not in text
    assert local.notes.read_text() == ""


def test_names_of_other_sites_lead_nowhere(local: Served) -> None:
    assert ask(local.address, "/", Host="evil.example")[0] == 400


@pytest.mark.parametrize("path", ["/gradio_api/file=http://127.0.0.1:1/a", "/gradio_api/file/https://a.example/b"])
def test_the_server_fetches_nothing_that_an_address_names(local: Served, path: str) -> None:
    assert ask(local.address, path)[0] == 404
    assert local.notes.read_text() == ""
