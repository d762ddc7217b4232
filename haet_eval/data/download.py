"""Fetches one file over HTTP: verified, resumable, from the first mirror that has it."""

import logging
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pooch
import requests

from haet_eval.errors import EnvironmentProblem
from haet_eval.progress import Observer

_CHUNK_BYTES = 2**16
_TIMEOUT_SECONDS = (10, 60)  # to connect, and between two chunks
_DROPPED = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


def download(urls: Sequence[str], target: Path, md5: str, observer: Observer) -> Path:
    """Puts the file at `target`, in one step and only with the right checksum. Does nothing if it exists.

    After an interruption the received part stays next to it as `*.part`, and the next call continues from
    there.

    Raises:
        EnvironmentProblem: no URL has the file, or it cannot be written.
    """
    pooch.get_logger().setLevel(logging.WARNING)  # the observer shows the progress
    fault = "no address is known"
    for url in urls:
        try:
            pooch.retrieve(
                url, f"md5:{md5}", target.name, target.parent, downloader=_Resuming(target, observer)
            )
        # First, because these errors are OSErrors as well. A ValueError is pooch's word for a wrong checksum.
        except (requests.RequestException, ValueError) as error:
            fault = f"{url}: {_why(error)}"
            if url != urls[-1]:  # the last fault is in the error
                observer.note(f"Could not fetch {fault}")
        except OSError as error:
            raise EnvironmentProblem(
                f"{target} cannot be written: {error}", "Choose another folder.", code="data-not-writable"
            ) from error
        else:
            return target
    hint = f"Try again (it goes on where it stopped), name a mirror, or put the file at {target} yourself."
    raise EnvironmentProblem(
        f"{target.name} could not be fetched from {fault}", hint, code="data-not-fetched"
    )


class _Resuming:
    """A downloader for pooch. pooch's own begins from zero whenever a connection drops."""

    def __init__(self, target: Path, observer: Observer) -> None:
        self._target = target
        self._observer = observer

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        """Fills `output_file`; reconnects as long as each connection brings new bytes."""
        # One part for each address: the beginning from one mirror and the end from another may not fit.
        part = self._target.with_name(f"{self._target.name}.{sha256(url.encode()).hexdigest()[:8]}.part")
        while True:
            before = _size(part)
            try:
                self._go_on(url, part)
                break
            except _DROPPED:
                # A connection that brings nothing would be made again for ever.
                if _size(part) <= before:
                    raise
        part.replace(output_file)

    def _go_on(self, url: str, part: Path) -> None:
        start = _size(part)
        # A range counts bytes of the response, so the server must not compress it.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as response:
            if start and response.status_code == requests.codes.requested_range_not_satisfiable:
                # The part is as long as the file or longer, so it cannot be the beginning of it.
                part.unlink()
                self._go_on(url, part)
                return
            response.raise_for_status()
            # A server may ignore the range and send the file from its beginning.
            resumed = response.status_code == requests.codes.partial_content
            self._receive(response, part, start if resumed else 0)

    def _receive(self, response: requests.Response, part: Path, done: int) -> None:
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if done else "wb") as file:
            for chunk in response.iter_content(_CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                self._observer.transfer(self._target.name, done, total)


def _why(error: Exception) -> str:
    """What went wrong, in a few words: the exceptions of three libraries are wrapped around each other."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}".rstrip()
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, OSError) and one.strerror:
            return one.strerror[0].lower() + one.strerror[1:]
        waiting += [*one.args, one.__cause__, one.__context__, getattr(one, "reason", None)]
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
