"""What the stages work with while the gateway runs: the current rules, the verifier of tokens, the recorder."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from lockgate.errors import SetupError
from lockgate.identity.jwt import Verifier
from lockgate.policy.generation import Generation
from lockgate.policy.load import load
from lockgate.recordings.recorder import Recorder


class Runtime:
    """Made empty, so that the chain can be composed on import; `start` fills it before anything is served."""

    generation: Generation
    verifier: Verifier
    recorder: Recorder

    def start(self, rules: Path, recordings: str = "", state: str = "") -> None:
        """Load the rules, make the state's directory, open and repair the recordings.

        Raises:
            RulesInvalid: the rules have errors.
            SetupError: a directory cannot be used.
        """
        self.generation = load(rules)
        gateway = self.generation.gateway
        state_dir = Path(state or gateway.state)
        try:
            state_dir.mkdir(parents=True, exist_ok=True)
            os.chmod(state_dir, 0o700)
        except OSError as error:
            raise SetupError(f"The state directory {state_dir} cannot be used: {error.strerror}.") from error
        self.verifier = Verifier(gateway.issuers, state_dir)
        self.recorder = Recorder(Path(recordings or gateway.recordings_dir), max_body=gateway.recordings_max_body)
        self.recorder.start()
        self.recorder.keep_generation(self.generation.id, self.generation.files)

    def stop(self) -> None:
        """Write what is still to be written, and let go of the recordings."""
        if hasattr(self, "recorder"):
            self.recorder.close()

    def now(self) -> datetime:
        """The instant a decision is made at, UTC."""
        return datetime.now(UTC)
