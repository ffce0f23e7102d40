"""Starting W&B: with its server where there is a key and an answer, without it everywhere else."""

from __future__ import annotations

import netrc
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener, getproxies

from semigan_pl.atomic import write_bytes

if TYPE_CHECKING:
    from wandb import Run, Settings


def warn(sentence: str) -> None:
    print(f"warning: {sentence}", file=sys.stderr)


def start(folder: Path, mode: str | None, connect_timeout: float, upload_timeout: float, **options: Any) -> Run:
    """A W&B run whose files lie in `folder/wandb`, continued under its id if an earlier session left one there.

    Args:
        mode: online, offline or disabled; None: WANDB_MODE, else online where a key is set and offline where none is.
        connect_timeout: seconds to wait for the server's first sign of life, and again for the start of the run.
        upload_timeout: seconds that the end of the run may wait for the upload.
        options: of wandb.init. In a job of `wandb agent` W&B itself puts the sweep's project, entity and run id in
            their place.

    A server that does not answer costs one warning: the run goes on offline.
    """
    import wandb  # here, because a second of importing is no price for a run that does not use it

    folder.mkdir(parents=True, exist_ok=True)  # else W&B writes into a temporary folder
    silent: dict[str, Any] = {"silent": True, "console": "off"}
    settings = wandb.setup(settings=wandb.Settings(**silent)).settings
    silent |= {"finish_timeout": upload_timeout, "finish_timeout_raises": True}
    id_file = folder / "wandb" / "run_id"
    continued = id_file.is_file()
    options |= {"dir": str(folder), "id": id_file.read_text().strip() if continued else secrets.token_hex(4)}
    mode = _mode(mode, settings)
    if mode == "online":
        try:
            connect(settings, connect_timeout)
            patient = wandb.Settings(init_timeout=connect_timeout, **silent)
            run = wandb.init(mode="online", resume="allow" if continued else None, settings=patient, **options)
        except Exception as error:  # a refused key, a lost route, an answer that W&B cannot read: all the same here
            mode = "offline"
            warn(f"W&B is not available ({first_line(error)}): this run is recorded offline.")
            wandb.teardown()  # frees the id, which the failed attempt still holds
            wandb.setup(settings=wandb.Settings(**silent))
    if mode != "online":
        run = wandb.init(mode=mode, settings=wandb.Settings(**silent), **options)  # type: ignore[arg-type]
    if mode != "disabled":
        write_bytes(id_file, run.id.encode())
    return run


def _mode(wanted: str | None, settings: Settings) -> str:
    mode = wanted or os.environ.get("WANDB_MODE") or settings.mode or "online"
    if mode != "online" or has_key(settings):
        return mode
    if "online" in (wanted, os.environ.get("WANDB_MODE")):
        warn("W&B has no API key (`wandb login` stores one): this run is recorded offline.")
    return "offline"


def has_key(settings: Settings) -> bool:
    """Whether a key is in the environment, in W&B's settings or in a netrc file."""
    if os.environ.get("WANDB_API_KEY") or settings.api_key or settings.identity_token_file:
        return True
    places = [os.environ["NETRC"]] if "NETRC" in os.environ else ["~/.netrc", "~/_netrc"]
    for place in map(os.path.expanduser, places):
        try:
            if netrc.netrc(place).authenticators(urlsplit(settings.base_url).netloc):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def connect(settings: Settings, timeout: float) -> None:
    """Raises OSError unless the server answers, be it to refuse.

    wandb.init alone takes its whole timeout to notice a refused connection, and W&B 0.28 far longer (measured).
    """
    own = {"http": getattr(settings, "http_proxy", None), "https": getattr(settings, "https_proxy", None)}
    proxies = getproxies() | {scheme: proxy for scheme, proxy in own.items() if proxy}
    try:
        build_opener(ProxyHandler(proxies)).open(f"{settings.base_url}/graphql", timeout=timeout).close()
    except HTTPError as error:
        if error.code >= 500:  # of a server that is down, or of a proxy that cannot reach it
            raise ConnectionError(f"{settings.base_url}: {error}") from error
    except URLError as error:
        raise ConnectionError(f"{settings.base_url}: {error.reason}") from error


@contextmanager
def staging_in(folder: Path) -> Iterator[None]:
    """Until they are uploaded, W&B keeps the images of tables where WANDB_DATA_DIR says, by default in the home."""
    earlier = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = earlier or str(folder / "wandb")
    try:
        yield
    finally:
        if earlier is None:
            del os.environ["WANDB_DATA_DIR"]


def first_line(error: Exception) -> str:
    """What went wrong, without W&B's explanations."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
