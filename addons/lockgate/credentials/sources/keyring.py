"""Secrets in the operating system's keyring (package keyring: Secret Service, macOS Keychain, Windows, ...)."""

from __future__ import annotations

import asyncio
import threading

from lockgate.errors import SecretUnavailable

TIMEOUT = 10.0  # seconds: a keyring that is locked may ask somebody, who may not be there

ONE = threading.Lock()  # a keyring is asked one thing at a time: not every kind is safe for threads


async def read(name: str) -> str:
    """The password at `name`, SERVICE/USER: the user is what follows the last slash.

    Raises SecretUnavailable where there is none, no keyring, no package, or no answer within ten seconds.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def settle(secret: str, problem: str) -> None:
        if answer.done():  # nobody waits any longer
            return
        if problem:
            answer.set_exception(SecretUnavailable(f"keyring:{name}: {problem}"))
        else:
            answer.set_result(secret)

    def work() -> None:
        outcome = ask(*name.rpartition("/")[::2])
        try:
            loop.call_soon_threadsafe(settle, *outcome)
        except RuntimeError:  # the loop is gone, and with it who asked
            pass

    # Daemon, and none of the loop's own threads: one that waits for somebody forever holds nothing up.
    threading.Thread(target=work, name="lockgate keyring", daemon=True).start()
    try:
        async with asyncio.timeout(TIMEOUT):
            return await answer
    except TimeoutError:
        raise SecretUnavailable(f"keyring:{name}: no answer after {TIMEOUT:g} seconds; is it locked?") from None


def ask(service: str, user: str) -> tuple[str, str]:
    """The password and no problem, or nothing and the problem."""
    try:
        import keyring
        from keyring.errors import KeyringError, NoKeyringError
    except ImportError:
        return "", "the package keyring is missing: pip install lockgate[keyring]"
    if not ONE.acquire(timeout=TIMEOUT):
        return "", "the keyring still has not answered an earlier question"
    try:
        secret = keyring.get_password(service, user)
    except NoKeyringError:
        return "", "no keyring on this machine that the package keyring knows"
    except KeyringError as error:
        return "", f"the keyring does not give it ({type(error).__name__})"
    except Exception as fault:  # noqa: BLE001 - of a backend from anywhere; its text might quote anything
        return "", f"fault in the keyring ({type(fault).__name__})"
    finally:
        ONE.release()
    return (secret, "") if secret is not None else ("", "not in the keyring")
