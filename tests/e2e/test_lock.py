"""Any option that could let traffic past the gateway keeps it from starting, with one clear line.

Which options these are stands in the evasion corpus, in `option.yaml`.
"""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from harness.gateway import MakeGateway
from harness.upstream import RecordingUpstream


def lockgate_lines(output: str) -> list[str]:
    return [line for line in output.splitlines() if "lockgate:" in line]


@pytest.mark.parametrize("variable", ["SSLKEYLOGFILE", "MITMPROXY_SSLKEYLOGFILE"])
def test_key_logs_are_not_written(make_gateway: MakeGateway, variable: str, tmp_path: Path) -> None:
    gateway = make_gateway(environment={variable: str(tmp_path / "keys")})
    gateway.launch()
    assert gateway.wait_exit() != 0
    (line,) = lockgate_lines(gateway.output)
    assert variable in line
    written = (tmp_path / "keys").read_text() if (tmp_path / "keys").exists() else ""
    assert [text for text in written.splitlines() if not text.startswith("#")] == []  # OpenSSL writes its heading


def test_options_from_the_configuration_file_count(make_gateway: MakeGateway) -> None:
    """mitmproxy reads `config.yaml` in its confdir without a word."""
    gateway = make_gateway()
    (gateway.confdir / "config.yaml").write_text("ignore_hosts: ['.*']\n")
    gateway.launch()
    assert gateway.wait_exit() != 0
    (line,) = lockgate_lines(gateway.output)
    assert "ignore_hosts" in line


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        pytest.param("roles/support.yaml", "role: support\nrules: [{id: a}]\n", "roles/support.yaml:2", id="bad-rule"),
        pytest.param("targets.yaml", "targets: {\n", "targets.yaml", id="bad-yaml"),
        pytest.param("gateway.yaml", "issuers: []\nnonsense: 1\n", "gateway.yaml:2", id="unknown-key"),
    ],
)
def test_rules_with_errors_keep_it_from_starting(make_gateway: MakeGateway, file: str, text: str, says: str) -> None:
    gateway = make_gateway()
    gateway.write_rules({file: text})
    gateway.launch()
    assert gateway.wait_exit() != 0
    assert says in gateway.output
    assert "Traceback" not in gateway.output


def test_missing_rules_keep_it_from_starting(make_gateway: MakeGateway) -> None:
    gateway = make_gateway()
    shutil.rmtree(gateway.rules)
    gateway.launch()
    assert gateway.wait_exit() != 0
    assert str(gateway.rules) in gateway.output
    assert "Traceback" not in gateway.output


def test_recordings_that_cannot_be_written_keep_it_from_starting(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(options=["--set", "lockgate_recordings=/proc/nowhere"])
    gateway.launch()
    assert gateway.wait_exit() != 0
    assert "/proc/nowhere" in gateway.output
    assert "Traceback" not in gateway.output


def test_it_listens_on_loopback_unless_told_otherwise(make_gateway: MakeGateway, token: str) -> None:
    gateway = make_gateway().start()
    with socket.socket() as probe:
        probe.settimeout(2)
        assert probe.connect_ex(("127.0.0.2", gateway.port)) != 0
    assert gateway.ask("GET", "/v1/json", token).status == 200


def test_options_that_may_be_set(make_gateway: MakeGateway, crm: RecordingUpstream, token: str) -> None:
    options = ["--listen-host", "127.0.0.1", "--set", "lockgate_recordings=kept", "--set", "lockgate_state=state"]
    gateway = make_gateway(options=[*options, "--set", "termlog_verbosity=warn"], ready="")
    gateway.start()
    assert gateway.ask("GET", "/v1/json", token).status == 200
    assert gateway.stop() == 0
    kept = gateway.home / "kept"
    assert kept.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in kept.rglob("*") if path.is_file()} == {0o600}
    assert (gateway.home / "state").stat().st_mode & 0o777 == 0o700
    assert not gateway.recordings.exists()
