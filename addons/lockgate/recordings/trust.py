"""What is known of a recording where its own directory cannot say it: the gateway's key, and how far the chain came.

Kept in the state directory, which whoever may write to the recordings may not write to.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lockgate import state
from lockgate.errors import SetupError
from lockgate.recordings.chain import START, Link
from lockgate.recordings.checkpoints import link_of
from lockgate.recordings.signing import Signer, Verifier

KEY = "signing"
FILE = "checkpoint.json"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signatures count, and how far the chain had come at the last checkpoint."""

    verifier: Verifier
    reached: Link


def signer(directory: Path) -> Signer:
    """The gateway's own, made at first use. Raises SetupError."""
    return Signer(state.key(directory, KEY))


def reached(directory: Path, verifier: Verifier) -> Link:
    """How far the chain had come at the last checkpoint; its start where there was none.

    Raises SetupError where the file is not as the gateway wrote it.
    """
    path = directory / FILE
    try:
        content, _ = state.read(path)
        document = json.loads(content)
        link = link_of(document)
    except FileNotFoundError:
        return START
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError):
        raise SetupError(f"{path} is no checkpoint: restore it, or move it away.") from None
    if not verifier.is_signed(document):
        raise SetupError(f"{path} is not signed with this gateway's key: restore it, or move it away.")
    return link


def note(directory: Path, checkpoint: bytes) -> None:
    """Keep a checkpoint, in JSON, as the last one. Raises OSError."""
    state.replace(directory / FILE, checkpoint)


def known(directory: Path) -> Trust | None:
    """What a state directory tells; None where there is no key in it yet. Raises SetupError."""
    if not (directory / f"{KEY}.key").exists():
        return None
    verifier = signer(directory).verifier
    return Trust(verifier, reached(directory, verifier))
