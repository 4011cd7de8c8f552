"""``cimbo report --serve``: a live page of a study, for a browser on this machine alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources

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


PLAIN_TEXT = "text/plain; charset=utf-8"
HTML_TEXT = "text/html; charset=utf-8"


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
        return _LiveServer((LOOPBACK_ADDRESS, port), answers(study))
    except OSError as error:
        what = f"cannot be listened on ({error.strerror})"
        raise BadInput(f"--port {port}", what, "give another one, or 0 for any") from None


def answers(study: LiveStudy) -> dict[str, Answer]:
    """List what is served. Paths are names in this table: none of them is looked up on the disk.

    Args:
        study: The study.

    Returns:
        Answers by path.
    """

    def page_html() -> bytes:
        return page(study.state()).encode()

    def fragment_html() -> bytes:
        return fragment(study.state()).encode()

    def live_json() -> bytes:
        return as_json(study.state().to_json()).encode()

    return {
        "/": Answer(HTML_TEXT, page_html),
        "/fragment": Answer(HTML_TEXT, fragment_html),
        "/live.json": Answer("application/json", live_json),
        "/live.css": Answer("text/css; charset=utf-8", lambda: _asset("live.css")),
        "/live.js": Answer("text/javascript; charset=utf-8", lambda: _asset("live.js")),
        "/report.html": Answer(HTML_TEXT, study.report),
    }


def _asset(name: str) -> bytes:
    return resources.files("cimbo.session").joinpath(name).read_bytes()


class _LiveServer(ThreadingHTTPServer):
    """A server of ``answers``, by path."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], answers: dict[str, Answer]) -> None:
        super().__init__(address, _Handler)
        self.answers = answers


@dataclass(frozen=True)
class _Response:
    """What is sent: a status, a media type, and the body."""

    status: HTTPStatus
    media_type: str
    body: bytes


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD of the server's paths, asked for by this machine's name."""

    server: _LiveServer
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
        response = self._response()
        self.send_response(response.status)
        self._send_headers(response)
        if with_body:
            self.wfile.write(response.body)

    def _send_headers(self, response: _Response) -> None:
        self.send_header("Content-Type", response.media_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        if self.path != "/report.html":  # the report has a content policy of its own
            self.send_header("Content-Security-Policy", CONTENT_POLICY)
        self.end_headers()

    def _response(self) -> _Response:
        """What is answered to the request."""
        if not self._is_asked_by_own_name():
            told = b"ask by the address that cimbo printed\n"
            return _Response(HTTPStatus.FORBIDDEN, PLAIN_TEXT, told)
        answer = self.server.answers.get(self.path.partition("?")[0])
        if answer is None:
            return _Response(HTTPStatus.NOT_FOUND, PLAIN_TEXT, b"nothing is here\n")
        try:
            return _Response(HTTPStatus.OK, answer.media_type, answer.body())
        except BadInput as error:
            told = f"{error}\n".encode()
            return _Response(HTTPStatus.SERVICE_UNAVAILABLE, PLAIN_TEXT, told)

    def _is_asked_by_own_name(self) -> bool:
        """Whether the request names this machine as its host."""
        # Protects against DNS rebinding: a foreign page whose host name was made
        # to resolve to this machine still sends its own name as Host.
        port = self.server.server_port
        return self.headers.get("Host") in (f"{LOOPBACK_ADDRESS}:{port}", f"localhost:{port}")

    def log_message(self, *_: object) -> None:
        """Say nothing: a page asks every two seconds."""
