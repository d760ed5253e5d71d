from __future__ import annotations

from collections.abc import Sequence

import pytest
from mitmproxy import exceptions, options

from lockgate.errors import SetupError
from lockgate.proxy import lock


@pytest.fixture
def opts(monkeypatch: pytest.MonkeyPatch) -> options.Options:
    for name in lock.KEY_LOGS:
        monkeypatch.delenv(name, raising=False)
    made = options.Options()
    made.add_option("scripts", Sequence[str], [], "")
    made.add_option("connection_strategy", str, "eager", "")
    made.add_option("onboarding", bool, True, "")
    made.add_option("flow_detail", int, 1, "")
    made.add_option("stream_large_bodies", str | None, None, "")
    made.update(scripts=["main.py"])
    return made


def test_the_defaults_pass_and_are_pinned(opts: options.Options) -> None:
    lock.check(opts)
    lock.pin(opts)
    lock.check(opts)
    assert opts.connection_strategy == "lazy"
    assert not opts.rawtcp
    assert opts.listen_host == "127.0.0.1"


def test_a_listening_address_that_was_given_stays(opts: options.Options) -> None:
    opts.update(listen_host="0.0.0.0")
    lock.check(opts)
    lock.pin(opts)
    assert opts.listen_host == "0.0.0.0"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"ssl_insecure": True}, "ssl_insecure", id="no-verification"),
        pytest.param({"ignore_hosts": [".*"]}, "ignore_hosts", id="pass-through"),
        pytest.param({"stream_large_bodies": "1"}, "stream_large_bodies", id="streaming"),
        pytest.param({"scripts": ["main.py", "other.py"]}, "Another -s script", id="second-script"),
        pytest.param({"mode": ["socks5"]}, "mode socks5", id="mode"),
        pytest.param({"mode": ["reverse:tcp://h:1"]}, "mode reverse", id="reverse-tcp"),
    ],
)
def test_anything_else_refuses_the_start(opts: options.Options, changes: dict[str, object], said: str) -> None:
    opts.update(**changes)
    with pytest.raises(SetupError, match=said):
        lock.check(opts)


def test_an_unknown_option_refuses_the_start(opts: options.Options) -> None:
    opts.update_defer(lockgate_rulez="x")
    with pytest.raises(SetupError, match="lockgate_rulez"):
        lock.check(opts)


@pytest.mark.parametrize("name", lock.KEY_LOGS)
def test_a_tls_key_log_refuses_the_start(opts: options.Options, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "/tmp/keys")
    with pytest.raises(SetupError, match=name):
        lock.check(opts)


def test_every_way_to_change_an_option_is_refused_afterwards(opts: options.Options) -> None:
    lock.pin(opts)
    lock.lock(opts)
    before = lock.snapshot(opts)
    for change in (
        lambda: opts.update(ssl_insecure=True),
        lambda: opts.update_defer(ssl_insecure=True),
        lambda: opts.set("ssl_insecure=true"),
        lambda: setattr(opts, "ssl_insecure", True),
        opts.toggler("ssl_insecure"),
        lambda: opts.merge({"ssl_insecure": True}),
        opts.reset,
    ):
        with pytest.raises(exceptions.OptionsError):
            change()
    assert lock.snapshot(opts) == before
