"""What one probe makes of one answer."""

from __future__ import annotations

import asyncio
import resource
import ssl
import struct
from socket import SO_LINGER, SOL_SOCKET, socket

import pytest

from core.processes import run
from probes.response import MalformedAnswerError, ResponseReader

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Pod-Name: pod-a\r\nx-version: 1.2\r\n\r\nok"


def answering(answer, *, keep=True, close=False, reset=False):
    """Return a handler that gives this answer to every request."""

    async def handle(reader, writer):
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
                await writer.drain()
                if reset:
                    await asyncio.sleep(0.02)
                    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                    writer.transport.abort()
                if close or reset or not keep:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return handle


CASES = {
    "a good answer": (answering(OK), {}, ("ok", "done", 200)),
    "a chunked answer": (
        answering(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2;x=y\r\nok\r\n3\r\nyes\r\n0\r\nA: b\r\n\r\n"
        ),
        {"body": "okyes"},
        ("ok", "done", 200),
    ),
    "a body to the end of the stream": (
        answering(b"HTTP/1.1 200 OK\r\n\r\nall of it", close=True),
        {"body": "all of it"},
        ("ok", "done", 200),
    ),
    "an interim answer first": (answering(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK), {}, ("ok", "done", 200)),
    "an error status": (
        answering(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
        {},
        ("status", "done", 503),
    ),
    "a good status that is not expected": (answering(OK), {"expected": (204,)}, ("status", "done", 200)),
    "a wrong body": (answering(OK), {"body": "fine"}, ("body", "done", 200)),
    "a body cut short": (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", close=True),
        {},
        ("truncated", "body", 200),
    ),
    "chunks cut short": (
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", close=True),
        {},
        ("truncated", "body", 200),
    ),
    "a head cut short": (answering(b"HTTP/1.1 200", close=True), {}, ("truncated", "first_byte", 0)),
    "a close without an answer": (answering(b"", close=True), {}, ("reset", "first_byte", 0)),
    "a reset without an answer": (answering(b"", reset=True), {}, ("reset", "first_byte", 0)),
    "a reset inside the body": (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", reset=True),
        {},
        ("reset", "body", 200),
    ),
    "silence": (answering(b""), {"timeout_s": 0.1}, ("timeout", "first_byte", 0)),
    "half an answer, then silence": (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"),
        {"timeout_s": 0.1},
        ("timeout", "body", 200),
    ),
    "something else than HTTP": (answering(b"SSH-2.0-x\r\n\r\n"), {}, ("other", "first_byte", 0)),
    "nobody listening": (None, {}, ("refused", "connect", 0)),
    "a name that is not resolved": (None, {"url": "http://nowhere.invalid/"}, ("runner", "none", 0)),
}


@pytest.mark.parametrize("connection", ["new", "reused"])
@pytest.mark.parametrize("case", CASES, ids=lambda name: name.replace(" ", "_"))
def test_each_answer_has_its_outcome_and_phase(probe, case, connection):
    """A probe says how it ended and how far it came, on either kind of connection."""
    handler, changes, expected = CASES[case]
    (sample,) = probe(handler, connection=connection, **changes)
    assert (sample.outcome, sample.phase, sample.status) == expected
    assert sample.finished_s >= sample.sent_s > 0
    assert bool(sample.error) == (sample.outcome != "ok")


def test_the_answer_names_its_pod_and_version(probe):
    """The instance and the version come from the answer's headers, whatever their case."""
    (sample,) = probe(answering(OK))
    assert (sample.instance, sample.version) == ("pod-a", "1.2")


def test_an_answer_is_the_same_however_it_is_cut():
    """The reader gives one result for every way in which the bytes can arrive."""
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-version: 7\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"
    )
    for size in range(1, len(answer) + 1):
        reader = ResponseReader(keep_body=True)
        for at in range(0, len(answer), size):
            assert not reader.done
            reader.feed(answer[at : at + size])
        assert (reader.done, reader.body, reader.version) == (True, b"0123456789", "7"), size


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"x" * 70000,
    ],
)
def test_nonsense_is_malformed(answer):
    """What is not HTTP is refused, and does not grow without bound."""
    with pytest.raises(MalformedAnswerError):
        ResponseReader().feed(answer)


def test_no_file_handles_is_the_runners_failure(probe):
    """A probe that this machine could not open is no product failure, on either kind of connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def exhaust(tick):
        with socket() as spare:
            lowest = spare.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest if tick else soft, hard))

    try:
        for connection in ("new", "reused"):
            samples = probe(answering(OK), connection=connection, ticks=2, gap_s=0.05, meanwhile=exhaust)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert [(one.outcome, one.error) for one in samples] == [("ok", ""), ("runner", "EMFILE")]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("connection", ["new", "reused"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_an_ipv6_address_is_probed_like_any_other(probe, tls, connection, secure):
    """A literal IPv6 address is connected to and named in brackets to the server."""
    hosts = []

    async def note_host(reader, writer):
        request = await reader.readuntil(b"\r\n\r\n")
        hosts.append(request.partition(b"Host: ")[2].partition(b"\r\n")[0])
        writer.write(OK)
        writer.close()

    changes = {"tls": tls, "insecure": True} if secure else {}
    samples = probe(note_host, host="::1", connection=connection, ticks=2, gap_s=0.05, **changes)
    assert [(one.outcome, one.phase) for one in samples] == [("ok", "done")] * 2
    assert all(host.startswith(b"[::1]:") for host in hosts)


def test_a_socket_past_the_handles_for_probes_is_the_runners_failure(probe, monkeypatch):
    """A few file handles stay back, so that a sampler with too many open probes can still write them down."""
    monkeypatch.setattr("probes.series.KEPT_HANDLES", resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 2)
    (sample,) = probe(answering(OK))
    assert (sample.outcome, sample.phase, sample.error) == ("runner", "none", "EMFILE")


def test_close_among_other_words_ends_the_connection():
    """`Connection` may list several words."""
    for value, kept in ((b"close, x", False), (b"X, Close", False), (b"keep-alive, x", True), (b"x", True)):
        reader = ResponseReader()
        assert reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: " + value + b"\r\n\r\n")
        assert reader.keep_alive is kept, value


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Make a server's side of TLS with a certificate that nobody vouches for."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=t"]
    run(["openssl", "req", *made, "-keyout", key, "-out", certificate], timeout_s=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_a_certificate_nobody_vouches_for_fails_in_the_tls_phase(probe, tls):
    """TLS is a phase of its own: refused with the check, answered without it, also on reused connections."""
    (refused,) = probe(answering(OK), tls=tls)
    assert (refused.outcome, refused.phase) == ("other", "tls")
    assert "certificate verify failed" in refused.error.lower().replace("_", " ")
    for connection in ("new", "reused"):
        samples = probe(
            answering(OK), tls=tls, insecure=True, connection=connection, ticks=5, gap_s=0.05, pool=1
        )
        assert [(one.outcome, one.phase, one.status) for one in samples] == [("ok", "done", 200)] * 5
