"""``cimbo report --serve``: a page that follows a running study, asked over HTTP as a browser and as an intruder."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cimbo import Choice, Objective, SearchSpace, Study
from cimbo.cli import run
from cimbo.cli.serve import live_server
from cimbo.session.live import LiveStudy

SPACE = SearchSpace([Choice("depth", [1, 2, 3])], [Choice("rows", [64, 128])])
COST = [Objective("latency_ms", "min", reference=10.0)]


@pytest.fixture
def study(tmp_path):
    metadata = {"command": "cimbo optimize --budget 6"}
    file = tmp_path / "running.db"
    with Study.open(file, space=SPACE, objectives=COST, metadata=metadata) as study:
        yield study


@pytest.fixture
def port(study, monkeypatch):
    monkeypatch.setattr("cimbo.session.live.REST_FACTOR", 0.0)
    server = live_server(LiveStudy(study.path), 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def asked(port, path="/", host=None, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", f"127.0.0.1:{port}" if host is None else host)
    connection.endheaders()
    answer = connection.getresponse()
    return answer, answer.read().decode()


def test_the_page_follows_what_is_recorded(study, port):
    first, second = study.ask(2)
    answer, before = asked(port, "/live.json")
    assert answer.status == 200
    assert (json.loads(before)["evaluations"], json.loads(before)["budget"]) == (0, 6)
    study.tell(first, {"latency_ms": 3.0})
    study.tell(second, None, reason="<script>licence</script>")
    state = json.loads(asked(port, "/live.json")[1])
    assert (state["evaluations"], state["hypervolume"]) == (2, 7.0)
    assert [design["key"] for design in state["front"]["pareto"]] == [first.key]
    _, text = asked(port, "/fragment")
    assert "2 of 6 evaluations" in text
    assert "&lt;script&gt;licence" in text
    assert "<script>licence" not in text
    _, report = asked(port, "/report.html")
    assert report.lower().startswith("<!doctype html>")


def test_nothing_but_the_page_is_served_and_to_this_machine_s_names_alone(port):
    answer, text = asked(port)
    assert answer.status == 200
    assert "default-src 'none'" in answer.getheader("Content-Security-Policy")
    assert "http" not in text  # nothing of elsewhere
    for path in ("/../../etc/passwd", "/%2e%2e/running.db", "/running.db", "//etc/passwd", "/x"):
        answer, text = asked(port, path)
        assert (answer.status, text) == (404, "nothing is here\n")
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1:1", ""):
        assert asked(port, host=host)[0].status == 403
    assert asked(port, host=f"localhost:{port}")[0].status == 200
    assert asked(port, method="POST")[0].status == 501
    answer, text = asked(port, method="HEAD")
    assert (answer.status, text) == (200, "")
    for path, media_type in (("/live.js", "text/javascript"), ("/live.css", "text/css")):
        answer, text = asked(port, path)
        assert answer.getheader("Content-Type").startswith(media_type)
        assert text


def test_a_connection_that_asks_nothing_keeps_nobody_waiting(port):
    with socket.create_connection(("127.0.0.1", port)):
        assert asked(port)[0].status == 200


def test_the_command_listens_on_loopback_alone_and_ends_on_ctrl_c(study):
    process = subprocess.Popen(
        [sys.executable, "-m", "cimbo", "report", "--serve", "--port", "0", "--study", study.path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:")
    port = int(address.rstrip("/").rsplit(":", 1)[1])
    assert asked(port)[0].status == 200
    listening = f":{port:04X} "
    sockets = Path("/proc/net/tcp").read_text().splitlines()
    addresses = [line.split()[1] for line in sockets if f"{listening}00000000:0000 0A" in line]
    assert addresses == [f"0100007F:{port:04X}"]
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "no longer served" in said


def test_a_port_that_is_taken_is_told_in_a_line(study, port, capsys):
    assert run(["report", "--serve", "--port", str(port), "--study", study.path]) == 2
    assert capsys.readouterr().err.startswith(f"--port {port}: cannot be listened on (")
    assert run(["report", "--serve", "--study", "none.db"]) == 2
