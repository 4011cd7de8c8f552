"""``cimbo report --serve``: a live page of a study, for a browser on this machine alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import cast

import click

from cimbo.cli.output import as_json, say
from cimbo.errors import BadInput
from cimbo.session.live import LiveStudy, fragment, page

LOOPBACK_ADDRESS = "127.0.0.1"
DEFAULT_PORT = 8765
REQUEST_LIMIT_S = 10  # a browser that opens a connection and asks nothing is left alone after that
#: Nothing but the page's own files is loaded, by nobody but the page.
CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Answer:
    """What is served at one path: a media type, and what makes the body."""

    media_type: str
    body: Callable[[], bytes]


def serve(file: str, port: int) -> None:
    """Serve a live page of a study on loopback until Ctrl-C.

    Args:
        file: The study's file.
        port: Where to listen; 0 for any free port.

    Raises:
        BadInput: There is no such study, or the port is taken.
    """
    study = LiveStudy(file)
    server = live_server(study, port)
    with server:
        click.echo(f"http://{LOOPBACK_ADDRESS}:{server.server_port}/")
        say("Ctrl-C ends it; the study is only read")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("no longer served")


def live_server(study: LiveStudy, port: int) -> ThreadingHTTPServer:
    """Make the server of a study's live page, listening on loopback.

    Args:
        study: The study.
        port: Where to listen; 0 for any free port.

    Returns:
        The server; call ``serve_forever``.

    Raises:
        BadInput: The port is taken.
    """
    try:
        server = ThreadingHTTPServer((LOOPBACK_ADDRESS, port), _handler(answers(study)))
    except OSError as error:
        what = f"cannot be listened on ({error.strerror})"
        raise BadInput(f"--port {port}", what, "give another one, or 0 for any") from None
    server.daemon_threads = True
    return server


def answers(study: LiveStudy) -> dict[str, Answer]:
    """List what is served. Paths are names in this table: none of them is looked up on the disk.

    Args:
        study: The study.

    Returns:
        Answers by path.
    """
    html = "text/html; charset=utf-8"

    def live_json() -> bytes:
        return as_json(study.state().to_json()).encode()

    return {
        "/": Answer(html, lambda: page(study.state()).encode()),
        "/fragment": Answer(html, lambda: fragment(study.state()).encode()),
        "/live.json": Answer("application/json", live_json),
        "/live.css": Answer("text/css; charset=utf-8", lambda: _asset("live.css")),
        "/live.js": Answer("text/javascript; charset=utf-8", lambda: _asset("live.js")),
        "/report.html": Answer(html, study.report),
    }


def _asset(name: str) -> bytes:
    return resources.files("cimbo.session").joinpath(name).read_bytes()


def _handler(served: dict[str, Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers GET and HEAD of the paths in ``served``, asked for by this machine's name."""

        server_version = "cimbo"
        sys_version = ""
        timeout = REQUEST_LIMIT_S

        def do_GET(self) -> None:
            """Answer with head and body."""
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            """Answer with the head alone."""
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            status, media_type, body = self._found()
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            if self.path != "/report.html":  # the report has a content policy of its own
                self.send_header("Content-Security-Policy", CONTENT_POLICY)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def _found(self) -> tuple[HTTPStatus, str, bytes]:
            plain = "text/plain; charset=utf-8"
            port = cast(ThreadingHTTPServer, self.server).server_port
            # Protects against DNS rebinding: a foreign page whose host name was made
            # to resolve to this machine still sends its own name as Host.
            if self.headers.get("Host") not in (f"{LOOPBACK_ADDRESS}:{port}", f"localhost:{port}"):
                return HTTPStatus.FORBIDDEN, plain, b"ask by the address that cimbo printed\n"
            answer = served.get(self.path.partition("?")[0])
            if answer is None:
                return HTTPStatus.NOT_FOUND, plain, b"nothing is here\n"
            try:
                return HTTPStatus.OK, answer.media_type, answer.body()
            except BadInput as error:
                return HTTPStatus.SERVICE_UNAVAILABLE, plain, f"{error}\n".encode()

        def log_message(self, *_: object) -> None:
            """Say nothing: a page asks every two seconds."""

    return Handler
