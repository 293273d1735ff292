"""A browser's side of HTTP, as far as attacks need it."""

from __future__ import annotations

import json
import secrets
from email.message import Message
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen


class Client:
    """Somebody with cookies of their own.

    Args:
        address: of the page.
        password: typed at once; None for those who do not know it.
    """

    def __init__(self, address: str, password: str | None = None) -> None:
        self.address = address.replace("0.0.0.0", "127.0.0.1")
        self.cookies: dict[str, str] = {}
        self.ask("/")
        if password is not None:
            assert self.ask("/login", urlencode({"username": "me", "password": password}).encode())[0] == 200
        self.page = secrets.token_hex(5)

    def ask(
        self, path: str, body: bytes | None = None, method: str | None = None, **headers: str
    ) -> tuple[int, bytes, Message]:
        """What is answered: status, content and headers."""
        said = {"Cookie": "; ".join(f"{key}={value}" for key, value in self.cookies.items())}
        said |= {key.replace("_", "-"): value for key, value in headers.items()}
        url = self.address + quote(path, safe="/?=&%:@+,.")
        try:
            with urlopen(Request(url, body, said, method=method), timeout=30) as answer:
                found = answer.status, answer.read(), answer.headers
        except HTTPError as error:
            with error:
                found = error.code, error.read(), error.headers
        for cookie in found[2].get_all("set-cookie", []):
            key, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[key] = value
        return found

    def token(self) -> str:
        """One that the server makes."""
        return self.ask("/session", b"")[1].decode()

    def call(self, function: int, *data: Any, **more: Any) -> tuple[int, bytes]:
        """Calls one of the page's functions as the page does."""
        said = {
            "data": data,
            "fn_index": function,
            "session_hash": self.page,
            "event_data": None,
            "trigger_id": 0,
            **more,
        }
        return self.ask("/gradio_api/run/predict", json.dumps(said).encode(), Content_Type="application/json")[:2]

    def upload(self, *files: tuple[str, bytes], **headers: str) -> tuple[int, bytes]:
        """Sends files as a form does."""
        body = b"".join(
            b'--limit\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\n%s\r\n'
            % (name.encode(), data)
            for name, data in files
        )
        kind = {"Content_Type": "multipart/form-data; boundary=limit", **headers}
        return self.ask("/gradio_api/upload", body + b"--limit--\r\n", **kind)[:2]
