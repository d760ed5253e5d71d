"""TLS with a target whose entry has a say in it: who is trusted, for which name, and what certificate is shown."""

from __future__ import annotations

import ipaddress

from OpenSSL import SSL

from lockgate.credentials.client_cert import ClientCertificate
from lockgate.model import TargetTls
from lockgate.proxy.internals import DEFAULT_HOSTFLAGS, net_tls

VERSIONS = {"1.2": net_tls.Version.TLS1_2, "1.3": net_tls.Version.TLS1_3}
HTTP1 = b"http/1.1"


def make_context(tls: TargetTls, certificate: ClientCertificate | None, trusted: str | None) -> SSL.Context:
    """What a connection begins with. Blocks: reads files. Raises ValueError where one of them cannot be used.

    `trusted` is a PEM file of who is trusted where `tls` names nobody; None means the public CAs. Made anew for each
    connection, so that a changed file counts, and no certificate is shown to another target.
    """
    make = net_tls.create_proxy_server_context.__wrapped__  # it would keep the context
    try:
        context: SSL.Context = make(
            method=net_tls.Method.TLS_CLIENT_METHOD,
            min_version=VERSIONS[tls.min_version],
            max_version=net_tls.Version.UNBOUNDED,
            cipher_list=None,
            ecdh_curve=None,
            verify=net_tls.Verify.VERIFY_PEER,
            ca_path=None,
            ca_pemfile=str(tls.ca) if tls.ca else trusted,
            client_cert=None,
            legacy_server_connect=False,
        )
    except RuntimeError:
        raise ValueError(f"{tls.ca or trusted} has no certificates in PEM that could be trusted") from None
    if certificate is not None:
        try:
            certificate.install(context)
        except SSL.Error:
            raise ValueError(f"OpenSSL does not take {certificate.name} as a client certificate") from None
    return context


def connect(context: SSL.Context, name: str, protocols: tuple[bytes, ...] = (HTTP1,)) -> SSL.Connection:
    """A connection not yet begun, on which only a certificate for `name`, a host name or an address, is taken.

    `protocols` are offered, the preferred one first (RFC 7301).
    """
    if not name:
        raise ValueError("no name to verify")  # OpenSSL would take every certificate
    connection = SSL.Connection(context)
    # As mitmproxy does it: pyOpenSSL itself has no way to say it.
    parameters = SSL._lib.SSL_get0_param(connection._ssl)  # type: ignore[attr-defined]
    SSL._lib.X509_VERIFY_PARAM_set_hostflags(parameters, DEFAULT_HOSTFLAGS)  # type: ignore[attr-defined]
    try:
        address = ipaddress.ip_address(name).packed
    except ValueError:
        host = name.encode("ascii")
        connection.set_tlsext_host_name(host)
        taken = SSL._lib.X509_VERIFY_PARAM_set1_host(parameters, host, len(host))  # type: ignore[attr-defined]
    else:
        taken = SSL._lib.X509_VERIFY_PARAM_set1_ip(parameters, address, len(address))  # type: ignore[attr-defined]
    if taken != 1:
        raise ValueError("the name cannot be verified")
    connection.set_alpn_protos(list(protocols))
    connection.set_connect_state()
    return connection
