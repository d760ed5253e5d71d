"""TLS with a target, both ends in memory."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.options import Options
from mitmproxy.proxy import events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.tls import TLSLayer
from mitmproxy.proxy.tunnel import TunnelState
from OpenSSL import SSL

from harness.pki import Authority
from lockgate.credentials.client_cert import ClientCertificate, client_cert
from lockgate.model import CertificateFiles, CredentialSpec, SecretSource, TargetTls
from lockgate.proxy import handshake, pace

NAME = "bank.example"
Serve = Callable[..., ssl.SSLContext]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"))


def certificate(authority: Authority, name: str = "gateway.example") -> ClientCertificate:
    chain, key = authority.issue(name)
    files = CertificateFiles(Path("bank.pem"), SecretSource("env", "BANK_KEY", form="pem"))
    return client_cert(CredentialSpec("bank-mtls", "client_cert", (NAME,), files), key, chain)


class Pair:
    """The gateway's end and a server's."""

    def __init__(self, connection: SSL.Connection, server_side: ssl.SSLContext) -> None:
        self.connection = connection
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = server_side.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def shake(self) -> None:
        """Raises what either end finds wrong; what the server says of it is then on its way."""
        for _ in range(4):
            try:
                self.connection.do_handshake()
            except SSL.WantReadError:
                pass
            self.to_server()
            try:
                self.server.do_handshake()
            except ssl.SSLWantReadError:
                pass
            finally:
                self.to_gateway()

    def to_server(self) -> None:
        try:
            self.incoming.write(self.connection.bio_read(65536))
        except SSL.WantReadError:
            pass

    def to_gateway(self) -> None:
        if data := self.outgoing.read():
            self.connection.bio_write(data)


def shaken(
    tls: TargetTls,
    server_side: ssl.SSLContext,
    *,
    name: str = NAME,
    shown: ClientCertificate | None = None,
    trusted: str | None = None,
) -> Pair:
    pair = Pair(handshake.connect(handshake.make_context(tls, shown, trusted), name), server_side)
    pair.shake()
    return pair


def demanding(authority: Authority) -> ssl.SSLContext:
    context = authority.server_context(NAME)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.pem)
    return context


def test_its_own_ca_is_trusted(authority: Authority) -> None:
    pair = shaken(TargetTls(ca=authority.pem), authority.server_context(NAME))
    assert pair.server.selected_alpn_protocol() == "http/1.1"
    assert pair.connection.get_servername() == NAME.encode()


def test_the_trusted_ca_of_all_targets_is_where_there_is_no_own(authority: Authority, stranger: Authority) -> None:
    shaken(TargetTls(min_version="1.3"), authority.server_context(NAME), trusted=str(authority.pem))
    with pytest.raises(SSL.Error):
        shaken(TargetTls(ca=stranger.pem), authority.server_context(NAME), trusted=str(authority.pem))


def test_the_public_cas_are_where_there_is_neither(authority: Authority) -> None:
    with pytest.raises(SSL.Error):
        shaken(TargetTls(min_version="1.3"), authority.server_context(NAME))


@pytest.mark.parametrize("name", ["bank.example", "BANK.example"])
def test_the_name_is_verified(authority: Authority, name: str) -> None:
    shaken(TargetTls(ca=authority.pem), authority.server_context(NAME), name=name)


@pytest.mark.parametrize("name", ["other.example", "www.bank.example", "example", "127.0.0.1", "::1"])
def test_no_other_name_will_do(authority: Authority, name: str) -> None:
    with pytest.raises(SSL.Error):
        shaken(TargetTls(ca=authority.pem), authority.server_context(NAME), name=name)


@pytest.mark.parametrize("name", ["bänk.example", ""])
def test_names_that_are_none(authority: Authority, name: str) -> None:
    with pytest.raises(ValueError):
        handshake.connect(handshake.make_context(TargetTls(ca=authority.pem), None, None), name)


@pytest.mark.parametrize(
    ("lowest", "highest", "good"),
    [
        ("1.2", ssl.TLSVersion.TLSv1_2, True),
        ("1.2", ssl.TLSVersion.TLSv1_3, True),
        ("1.3", ssl.TLSVersion.TLSv1_3, True),
        ("1.3", ssl.TLSVersion.TLSv1_2, False),
    ],
)
def test_the_lowest_version(authority: Authority, lowest: str, highest: ssl.TLSVersion, good: bool) -> None:
    server_side = authority.server_context(NAME)
    server_side.maximum_version = highest
    tls = TargetTls(ca=authority.pem, min_version=lowest)
    if good:
        shaken(tls, server_side)
    else:
        with pytest.raises((SSL.Error, ssl.SSLError)):
            shaken(tls, server_side)


def test_the_certificate_is_shown(authority: Authority) -> None:
    pair = shaken(TargetTls(ca=authority.pem), demanding(authority), shown=certificate(authority))
    subject = (pair.server.getpeercert() or {})["subject"]
    assert subject == ((("commonName", "gateway.example"),),)


def test_no_context_has_the_certificate_of_another(authority: Authority) -> None:
    """mitmproxy keeps the contexts that it makes."""
    tls = TargetTls(ca=authority.pem)
    handshake.make_context(tls, certificate(authority), None)
    with pytest.raises(ssl.SSLError):
        shaken(tls, demanding(authority))


def test_a_changed_ca_counts_at_once(authority: Authority, stranger: Authority, tmp_path: Path) -> None:
    tls = TargetTls(ca=tmp_path / "ca.pem")
    (tmp_path / "ca.pem").write_bytes(authority.pem.read_bytes())
    shaken(tls, authority.server_context(NAME))
    (tmp_path / "ca.pem").write_bytes(stranger.pem.read_bytes())
    with pytest.raises(SSL.Error):
        shaken(tls, authority.server_context(NAME))


@pytest.mark.parametrize("content", [None, b"", b"no PEM"])
def test_a_ca_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="has no certificates in PEM") as caught:
        handshake.make_context(TargetTls(ca=path), None, None)
    assert str(path) in str(caught.value)


def test_a_certificate_that_openssl_does_not_take(authority: Authority) -> None:
    own = certificate(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    broken = ClientCertificate("bank-mtls", list(own._chain), key)
    with pytest.raises(ValueError, match="bank-mtls") as caught:
        handshake.make_context(TargetTls(ca=authority.pem), broken, None)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    assert not any(line in str(caught.value) for line in pem.decode().splitlines())


# How a connection ends


class Child:
    """Stands where HTTP does, and notes what it is told."""

    def __init__(self) -> None:
        self.told: list[events.Event] = []

    def handle_event(self, event: events.Event) -> list[object]:
        self.told.append(event)
        return []


def layer_around(connection: SSL.Connection) -> tuple[TLSLayer, Child]:
    client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), state=ConnectionState.OPEN)
    layer = TLSLayer(Context(client, Options()), client)
    child = Child()
    layer.tls, layer.tunnel_state, layer.child_layer = connection, TunnelState.OPEN, child
    return layer, child


def closed(layer: TLSLayer, data: bytes) -> None:
    """What comes, and then the end of the connection below."""
    layer.debug = None
    for event in (events.DataReceived(layer.conn, data), events.ConnectionClosed(layer.conn)):
        list(layer._handle_event(event))


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TLSLayer, "receive_close", pace.receive_close)


def closes(child: Child) -> int:
    return sum(isinstance(event, events.ConnectionClosed) for event in child.told)


def test_a_fatal_alert_ends_a_connection(authority: Authority) -> None:
    """TLS 1.3 refuses a certificate after the handshake; mitmproxy alone would wait for ever."""
    pair = Pair(
        handshake.connect(handshake.make_context(TargetTls(ca=authority.pem), None, None), NAME), demanding(authority)
    )
    with pytest.raises(ssl.SSLError):
        pair.shake()
    layer, child = layer_around(pair.connection)
    closed(layer, b"")
    assert closes(child) == 1


def test_an_orderly_close_is_told_of_once(authority: Authority) -> None:
    pair = shaken(TargetTls(ca=authority.pem), authority.server_context(NAME))
    try:
        pair.server.unwrap()
    except ssl.SSLWantReadError:
        pass
    layer, child = layer_around(pair.connection)
    closed(layer, pair.outgoing.read())
    assert closes(child) == 1


def test_a_close_without_a_word_is_told_of_once(authority: Authority) -> None:
    pair = shaken(TargetTls(ca=authority.pem), authority.server_context(NAME))
    layer, child = layer_around(pair.connection)
    pair.server.write(b"the end")
    closed(layer, pair.outgoing.read())
    assert closes(child) == 1
    assert [event.data for event in child.told if isinstance(event, events.DataReceived)] == [b"the end"]
