"""The page that is really served, attacked through each door that gradio has, with and without a password."""

from __future__ import annotations

import contextlib
import io
import json
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from PIL import Image

from pellucid.app.limits import Limits
from pellucid.images.formats import MAX_PIXELS

from .client import Client
from .conftest import Served, serving

pytestmark = pytest.mark.skipif(find_spec("gradio") is None, reason='needs gradio: pip install "pellucid[app]"')

SECRET = "the machine's own: not for the page"
GOLDEN = Path(__file__).with_name("routes.txt")
LOAD, TAKE = 0, 2
"""The numbers of the page's functions: its loading, and the taking in of pictures."""


@pytest.fixture(scope="module")
def locked(tiny_prior: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A page that asks for a password."""
    options = ("--host", "0.0.0.0", "--password", "pässword", "--max-megabytes", "1")
    with serving(tmp_path_factory.mktemp("locked"), "--prior", tiny_prior, *options) as served:
        yield served


@pytest.fixture(params=["open", "locked, outside", "locked, inside"])
def attacker(request: pytest.FixtureRequest, local: Served, locked: Served) -> Client:
    """Somebody who may do all that the page may, or who does not know the password."""
    if request.param == "open":
        return Client(local.address)
    return Client(locked.address, "pässword" if "inside" in request.param else None)


@pytest.fixture
def secret() -> Iterator[Path]:
    """A file of the machine, where gradio's own check takes files from: beside temporary ones."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "secret.txt"
        path.write_text(SECRET)
        yield path


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 10), "teal").save(file, "PNG")
    return file.getvalue()


def test_the_open_routes_are_these(local: Served) -> None:
    """A gradio that has one more route fails here: look whether the page needs it, and add its line to routes.txt."""
    assert local.notes.with_name("routes.txt").read_text() == GOLDEN.read_text()


def test_all_closed_routes_are_404(attacker: Client) -> None:
    for line in GOLDEN.read_text().splitlines():
        state, method, path = line.split()
        if state == "closed" and method != "ANY":
            body = b"{}" if method in ("POST", "PUT", "PATCH") else None
            answer = attacker.ask(re.sub(r"\{[^}]*\}", "abcd1234", path), body, method)
            assert answer[0] == 404, line


@pytest.mark.parametrize(
    "query", ["/?deep_link=abcd", "/config?deep_link=abcd", "/gradio_api/deep_link?session_hash=h"]
)
def test_there_are_no_deep_links(attacker: Client, query: str) -> None:
    assert attacker.ask(query)[0] == 404


@pytest.mark.parametrize("meta", [True, False])
def test_files_of_the_machine_are_taken_by_no_name(attacker: Client, secret: Path, meta: bool) -> None:
    record: dict[str, Any] = {"path": str(secret), "orig_name": "x.png"}
    if meta:
        record["meta"] = {"_type": "gradio.FileData"}
    outside = attacker.ask("/session", b"")[0] == 401
    token = attacker.token()
    for data in ([token, [record], "[]"], [token, record, "[]"], [record, None, "[]"]):
        for function in range(12):
            status, said = attacker.call(function, *data)
            assert status == (401 if outside else 403)
            assert SECRET.encode() not in said
    # As the page names them, by a handle: what is none is left out.
    status, said = attacker.call(TAKE, token, json.dumps([record]))
    assert (status == 401) if outside else (b'"pictures":[]' in said.replace(b" ", b""))
    for path in (secret, Path("/etc/passwd")):
        for name in (str(path), f"/tmp/..{path}", f"./{path}"):
            status, said, _ = attacker.ask(f"/gradio_api/file={name}")
            assert status == (401 if outside else 403)
            assert SECRET.encode() not in said
            assert b"root:" not in said


def test_what_one_person_uploads_is_nobody_elses(local: Served) -> None:
    me, you = Client(local.address), Client(local.address)
    status, said = me.upload(("a.png", png()))
    (handle,) = json.loads(said)
    assert (status, "/" in handle) == (200, False)
    mine, yours = me.token(), you.token()
    handed = json.dumps([{"path": handle}])
    assert b"a.png" not in you.call(TAKE, yours, handed)[1]
    # Nor by my token in your hands.
    assert me.call(LOAD, mine)[0] == 200
    assert b"a.png" not in you.call(TAKE, mine, handed)[1]
    status, said = me.call(TAKE, mine, handed)
    assert status == 200
    path = re.search(rb"gradio_api/file=([^\"]+shown\.png)", said)
    assert path
    name = path[1].decode()
    assert me.ask(f"/gradio_api/file={name}")[0] == 200
    assert you.ask(f"/gradio_api/file={name}")[0] == 403
    assert you.ask("/gradio_api/file=" + name.rsplit("/", 2)[0])[0] == 403


@pytest.mark.parametrize("token", ["a" * 32, "", "f" * 32 + "-" + "f" * 32, "../" * 10])
def test_tokens_are_the_servers_own(local: Served, token: str) -> None:
    client = Client(local.address)
    before = list(local.folder.glob("pellucid-*/*"))
    assert client.call(LOAD, token)[0] != 200
    assert client.ask("/session", token.encode() or b"x")[1].decode() != token
    assert list(local.folder.glob("pellucid-*/*")) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.com"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
    ids=str,
)
def test_other_sites_post_nothing(attacker: Client, headers: dict[str, Any]) -> None:
    assert attacker.upload(("a.png", png()), **headers)[0] == 403
    for path in ("/session", "/login", "/gradio_api/run/predict", "/gradio_api/queue/join"):
        assert attacker.ask(path, b"{}", None, **headers)[0] == 403
    if "Sec_Fetch_Site" in headers:
        site = headers["Sec_Fetch_Site"]
        assert attacker.ask("/gradio_api/file=/etc/passwd", Sec_Fetch_Site=site)[0] == 403
        assert attacker.ask("/", Sec_Fetch_Mode="navigate", Sec_Fetch_Site=site)[0] == 200


def test_the_page_itself_may(local: Served) -> None:
    client = Client(local.address)
    assert client.upload(("a.png", png()), Origin=local.address, Sec_Fetch_Site="same-origin")[0] == 200


def test_no_other_page_shows_it_in_a_frame(attacker: Client) -> None:
    for path in ("/", "/gradio_api/nothing", "/gradio_api/file=/etc/passwd"):
        headers = attacker.ask(path)[2]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"


def test_whoever_does_not_know_the_password_gets_the_login_alone(locked: Served) -> None:
    client = Client(locked.address)
    assert b"auth_required" in client.ask("/")[1]
    assert client.ask("/session", b"")[0] == 401
    assert client.upload(("a.png", png()))[0] == 401
    assert client.call(LOAD, "x")[0] == 401
    assert client.ask("/gradio_api/heartbeat/abcdefgh")[0] == 401
    assert [path for path in locked.folder.glob("pellucid-uploads-*/**/*") if path.is_file()] == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs a second address of this machine")
def test_guessing_passwords_is_slowed(locked: Served) -> None:
    where = urlsplit(locked.address)
    answers = []
    for password in ["wrong"] * 6 + ["pässword"]:
        body = urlencode({"username": "me", "password": password})
        # From an address of its own, to keep nobody else waiting.
        connection = HTTPConnection("127.0.0.1", where.port, source_address=("127.0.0.9", 0))
        connection.request("POST", "/login", body, {"Content-Type": "application/x-www-form-urlencoded"})
        answers.append(connection.getresponse())
        connection.close()
    assert [answer.status for answer in answers[:3]] == [400] * 3
    # Not even the right one is looked at while one has to wait.
    assert answers[-1].status == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert Client(locked.address, "pässword").token()


def test_too_large_uploads_are_refused_before_they_are_read(locked: Served) -> None:
    client = Client(locked.address, "pässword")
    assert client.upload(("a.png", bytes(1_100_000)))[0] == 413
    cookie = "; ".join(f"{key}={value}" for key, value in client.cookies.items())
    head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n"
    kind = "Content-Type: multipart/form-data; boundary=limit\r\n"
    assert b" 413 " in _raw(locked, f"{head}{kind}Content-Length: {10**12}\r\n\r\n")
    assert b" 411 " in _raw(locked, f"{head}{kind}Transfer-Encoding: chunked\r\n\r\n")
    assert [path for path in locked.folder.glob("pellucid-uploads-*/**/*") if path.is_file()] == []


def test_connections_that_say_nothing_are_closed(local: Served) -> None:
    with ThreadPoolExecutor() as threads:
        # Reading ends where the server closes, or fails after half a minute.
        said = ["", "GET / HT", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "]
        assert list(threads.map(lambda one: _raw(local, one), said)) == [b""] * 3


def test_a_method_that_ceased_to_fit_the_damage_is_answered(local: Served) -> None:
    client = Client(local.address)
    page, token = client.ask("/")[1].decode(), client.token()
    assert client.call(LOAD, token)[0] == 200
    found = json.JSONDecoder().raw_decode(page[page.index("{", page.index("window.gradio_config")) :])[0]
    parts = {one["id"]: one["props"] for one in found["components"]}
    task, method = (
        next(number for number, props in parts.items() if props.get("elem_id") == f"pellucid-{name}")
        for name in ("task", "method")
    )
    # Two events of the viewer need a picture.
    asking = [one for one in found["dependencies"] if method in one["inputs"]]
    asking = [one for one in asking if one["targets"][0][1] not in ("act", "part")]
    assert len(asking) > 5
    for chosen in ("gdp", "/tmp/own.py:Own"):
        given = {number: props.get("value") for number, props in parts.items()} | {task: "unfade", method: chosen}
        for one in asking:
            said = [given[number] for number in one["inputs"]]
            answer = client.call(one["id"], *(said if one["inputs"][0] == task else [token, *said[1:]]))[0]
            # Of another damage than before, nothing is done with the method.
            changed = one["targets"] == [[task, "change"]]
            assert answer == (200 if chosen == "gdp" or changed else 500)


def test_nonsense_is_one_line_and_not_the_end(attacker: Client) -> None:
    outside = attacker.ask("/session", b"")[0] == 401
    for body in (b"", b"[]", b"{}", b"[" * 100_000, b'{"data":[],"fn_index":"0","session_hash":"abcd"}', b"\xff"):
        status, said, _ = attacker.ask("/gradio_api/run/predict", body, "POST", Content_Type="application/json")
        assert status == (401 if outside else 400)
        assert said.count(b"\n") == 1
    assert attacker.ask("/")[0] == 200


def test_the_page_decodes_less_than_the_command_line() -> None:
    assert Limits().pixels < MAX_PIXELS


def _raw(served: Served, said: str) -> bytes:
    where = urlsplit(served.address)
    with socket.create_connection(("127.0.0.1", where.port or 80), timeout=30) as connection:
        connection.sendall(said.encode())
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while b"\r\n\r\n" not in answer and (piece := connection.recv(4096)):
                answer += piece
        return answer
