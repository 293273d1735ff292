"""Models of the hub, from a hub on this machine."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from pellucid.errors import PellucidError, UsageError
from pellucid.priors import hub, load_prior
from pellucid.priors.convert import convert

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A hub of one model: what it has, what it was asked for, and how many bytes it gives before it falls silent."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.refuses: dict[str, str] = {}
        self.cut: int | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                outer.asked.append(self.path)
                self.answer(body=True)

            def send(self, status: int, content: bytes, body: bool, headers: dict[str, str]) -> None:
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if body:
                    self.wfile.write(content[: outer.cut] if len(content) > 5000 else content)
                    if outer.cut is not None and len(content) > 5000:
                        self.close_connection = True

            def answer(self, body: bool) -> None:
                name = "/api/models/someone/model"
                path = self.path.partition("?")[0]
                if outer.refuses or "someone/model" not in path or "/revision/v9" in path:
                    refusal = outer.refuses or {
                        "X-Error-Code": "RevisionNotFound" if "/revision/v9" in path else "RepoNotFound"
                    }
                    return self.send(403 if outer.refuses else 404, b"{}", body, refusal)
                if path.startswith(f"{name}/tree/"):
                    tree = [
                        {"type": "file", "path": file, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                        for file, data in outer.files.items()
                    ]
                    return self.send(200, json.dumps(tree).encode(), body, {"Content-Type": "application/json"})
                if path.startswith(name):
                    siblings = [{"rfilename": file} for file in outer.files]
                    about = {"id": "someone/model", "modelId": "someone/model", "sha": COMMIT, "siblings": siblings}
                    return self.send(200, json.dumps(about).encode(), body, {"Content-Type": "application/json"})
                data = outer.files[path.partition(f"/resolve/{COMMIT}/")[2]]
                etag = f'"{hashlib.sha1(data).hexdigest()}"'
                return self.send(200, data, body, {"X-Repo-Commit": COMMIT, "ETag": etag})

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def fetched(self) -> set[str]:
        """The names of files that were asked for."""
        return {path.partition(f"/resolve/{COMMIT}/")[2] for path in self.asked if "/resolve/" in path}


@pytest.fixture
def there(tiny_prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has the tiny prior, and nothing in the cache."""
    import huggingface_hub.constants as constants

    made = Hub()
    made.files = {
        "config.json": (tiny_prior / "config.json").read_bytes(),
        "diffusion_pytorch_model.safetensors": (tiny_prior / "model.safetensors").read_bytes(),
        "diffusion_pytorch_model.fp16.safetensors": b"x" * 9000,
        "diffusion_pytorch_model.bin": b"x" * 9000,
        "train.py": b"raise SystemExit",
    }
    monkeypatch.setattr(constants, "ENDPOINT", made.endpoint)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", made.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.chdir(tmp_path)
    made.thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()


X = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_a_model_is_fetched_once_and_then_in_the_cache(
    there: Hub, tiny_prior: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = load_prior(tiny_prior)(X, 0.5)
    assert torch.equal(load_prior("someone/model")(X, 0.5), expected)
    assert there.fetched() == {"config.json", "diffusion_pytorch_model.safetensors"}
    assert capsys.readouterr() == ("", "")  # no bar where there is no terminal
    there.asked.clear()
    assert torch.equal(load_prior("someone/model", offline=True)(X, 0.5), expected)
    assert torch.equal(load_prior(f"someone/model@{COMMIT}", offline=True)(X, 0.5), expected)
    assert not there.asked


def test_old_weights_are_taken_where_there_are_no_others(there: Hub, tiny_prior: Path, tmp_path: Path) -> None:
    weights = load(there.files.pop("diffusion_pytorch_model.safetensors"))
    torch.save(weights, tmp_path / "weights.bin")
    there.files["diffusion_pytorch_model.bin"] = (tmp_path / "weights.bin").read_bytes()
    for offline in (False, True):
        prior = load_prior("someone/model", offline=offline)
        assert torch.equal(prior(X, 0.5), load_prior(tiny_prior)(X, 0.5))
    assert there.fetched() == {"config.json", "diffusion_pytorch_model.bin"}


def refused(source: str, says: str, kind: type[PellucidError] = PellucidError, **options: Any) -> None:
    with pytest.raises(PellucidError, match=says) as caught:
        load_prior(source, **options)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(source)


def test_what_cannot_be_had_is_one_line(there: Hub) -> None:
    refused("someone/model", "not wholly, in the cache, and nothing is fetched offline", offline=True)
    refused("someone/model@v9", "no such revision", UsageError)
    refused("someone/other", "no such file or folder here, and no such model on the hub", UsageError)
    there.refuses = {"X-Error-Code": "GatedRepo"}
    refused("someone/model", "is gated; accept its terms")


def test_a_machine_without_a_network_says_so(there: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants as constants

    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
    refused("someone/model", "the hub cannot be reached")
    closed.close()


def test_a_part_of_a_file_is_never_loaded(there: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection breaks in the midst of the weights, again and again."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    there.cut = 3000
    with pytest.raises(PellucidError, match=r"someone/model: could not be fetched"):
        load_prior("someone/model")
    assert not list((tmp_path / "cache").rglob("snapshots/*/*.safetensors"))
    refused("someone/model", "not wholly, in the cache", offline=True)
    there.cut = None
    load_prior("someone/model")


@pytest.mark.parametrize(
    "source", ["nothing", "a/b/c", "here/model", "nets/model.pt", "model.PT", "edm.pkl", "./x/y", "/x/y"]
)
def test_what_could_be_a_path_is_none_of_the_hubs(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    assert not hub.is_id(source)
    says = "unknown prior 'nothing'" if source == "nothing" else f"^{source}: there is no such file or folder"
    with pytest.raises(UsageError, match=says):
        load_prior(source)


@pytest.mark.parametrize("source", ["google/ddpm-celebahq-256", "a/b@main", "a/b.c@refs/pr/1"])
def test_names_of_the_hub(source: str) -> None:
    assert hub.is_id(source)


def test_nothing_else_opens_a_connection(tiny_prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a connection was opened")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(AssertionError):
        socket.create_connection(("127.0.0.1", 1))
    load_prior("natural")
    load_prior(lambda x: x)
    convert(tiny_prior, tmp_path / "out")
    load_prior(tmp_path / "out")
    for name in ("nothing", "here/nothing.pt"):
        with pytest.raises(UsageError, match=r"unknown prior|no such file"):
            load_prior(name)


# --- latent diffusion ---

Z = torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(0))
UNET, VAE = "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"
DESCRIPTIONS = {
    "model_index.json",
    "unet/config.json",
    "vae/config.json",
    "scheduler/scheduler_config.json",
}


def holds(there: Hub, folder: Path) -> None:
    """Gives the hub a folder's files, and what else published models have."""
    there.files = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    there.files["whole_model.safetensors"] = b"x" * 9000
    there.files["unet/diffusion_pytorch_model.non_ema.safetensors"] = b"x" * 9000
    there.files["safety_checker/model.safetensors"] = b"x" * 9000


def halved(there: Hub, name: str) -> None:
    """Leaves a file's weights in half precision alone."""
    weights = {key: value.half() for key, value in load(there.files.pop(name)).items()}
    there.files[name.replace(".safetensors", ".fp16.safetensors")] = save(weights)


def test_latent_diffusion_is_fetched_without_what_reads_texts_where_nothing_is_read(
    there: Hub, tiny_sdxl: Path
) -> None:
    holds(there, tiny_sdxl)
    there.files |= {"text_encoder/config.json": b"{}", "text_encoder/model.safetensors": b"x" * 9000}
    there.files["tokenizer/vocab.json"] = b"{}"
    expected = load_prior(tiny_sdxl)(Z, 1.0)
    assert torch.equal(load_prior("someone/model")(Z, 1.0), expected)
    assert there.fetched() == DESCRIPTIONS | {UNET, VAE, "text_encoder/config.json"}
    there.asked.clear()
    assert torch.equal(load_prior("someone/model", offline=True)(Z, 1.0), expected)
    assert not there.asked
    refused("someone/model", r"not wholly, in the cache", offline=True, prompt="a cat")


def test_what_reads_texts_is_fetched_where_even_no_text_is_read(
    there: Hub, tiny_sd: Path, tmp_path: Path, write_text: Callable[..., None]
) -> None:
    pytest.importorskip("transformers")
    folder = Path(shutil.copytree(tiny_sd, tmp_path / "model"))
    write_text(folder, False)
    holds(there, folder)
    there.files["tokenizer/notes.md"] = b"x"
    fetched = load_prior("someone/model")
    read = {"text_encoder/config.json", "text_encoder/model.safetensors"}
    read |= {f"tokenizer/{path.name}" for path in (folder / "tokenizer").iterdir()}
    assert there.fetched() == DESCRIPTIONS | {UNET, VAE} | read
    assert torch.equal(fetched.network.text, load_prior(folder).network.text)  # type: ignore[attr-defined]
    assert fetched.network.text.any()  # type: ignore[attr-defined]


def test_what_reads_texts_is_fetched_for_a_conversion(
    there: Hub, tiny_sdxl: Path, tmp_path: Path, write_text: Callable[..., None]
) -> None:
    pytest.importorskip("transformers")
    folder = Path(shutil.copytree(tiny_sdxl, tmp_path / "model"))
    write_text(folder, True)
    holds(there, folder)
    load_prior("someone/model")
    convert("someone/model", tmp_path / "out")
    for path in [*folder.glob("text_encoder*/model.safetensors"), *folder.glob("tokenizer*/vocab.json")]:
        assert (tmp_path / "out" / path.relative_to(folder)).is_file()
    assert torch.equal(load_prior(tmp_path / "out")(Z, 1.0), load_prior(tiny_sdxl)(Z, 1.0))


def test_half_precision_is_fetched_where_there_is_nothing_else(there: Hub, tiny_sd: Path) -> None:
    holds(there, tiny_sd)
    halved(there, UNET)
    expected = load_prior(tiny_sd)(Z, 1.0)
    for offline in (False, True):
        prior = load_prior("someone/model", offline=offline)
        torch.testing.assert_close(prior(Z, 1.0), expected, atol=1e-2, rtol=1e-2)
        assert not torch.equal(prior(Z, 1.0), expected)
    assert there.fetched() == DESCRIPTIONS | {UNET.replace(".safe", ".fp16.safe"), VAE}


def test_a_network_of_latents_without_its_autoencoder_costs_no_download(there: Hub, tiny_sd: Path) -> None:
    holds(there, tiny_sd)
    del there.files["vae/config.json"], there.files[VAE]
    with pytest.raises(PellucidError, match="name the folder that also holds its vae/"):
        load_prior("someone/model")
    assert there.fetched() == DESCRIPTIONS - {"vae/config.json"}


def test_a_model_without_the_weights_of_its_autoencoder_is_one_line(there: Hub, tiny_sd: Path) -> None:
    holds(there, tiny_sd)
    del there.files[VAE]
    refused("someone/model", r"is not whole \(vae: no weights;")


def test_a_model_that_lacks_a_part_of_its_weights_is_one_line(there: Hub, tiny_sd: Path) -> None:
    holds(there, tiny_sd)
    there.files["unet/diffusion_pytorch_model-00002-of-00002.safetensors"] = there.files.pop(UNET)
    refused("someone/model", r"is not whole \(unet: 1 weight files; .* or all parts of one")


def test_weights_in_parts_are_fetched(there: Hub, tiny_sd: Path) -> None:
    holds(there, tiny_sd)
    weights = load(there.files.pop(UNET))
    for part in (0, 1):
        some = {name: weight for i, (name, weight) in enumerate(sorted(weights.items())) if i % 2 == part}
        there.files[f"unet/diffusion_pytorch_model-0000{part + 1}-of-00002.safetensors"] = save(some)
    assert torch.equal(load_prior("someone/model")(Z, 1.0), load_prior(tiny_sd)(Z, 1.0))


def test_the_autoencoder_missing_from_the_cache_is_told_offline(
    there: Hub, tiny_sd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as constants

    holds(there, tiny_sd)
    load_prior("someone/model")
    for path in (tmp_path / "cache").rglob("vae/*.safetensors"):
        path.unlink()
    refused("someone/model", "not wholly, in the cache", offline=True)
    # A cache of older releases of the hub's library holds no list of what a model has.
    older = (tmp_path / "cache").rename(tmp_path / "older")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(older))
    for listing in older.rglob("trees/*.json"):
        listing.unlink()
    refused("someone/model", r"not wholly, in the cache, .* \(vae: no weights", offline=True)
    load_prior("someone/model")
    load_prior("someone/model", offline=True)
