"""What the stages work with while the gateway runs: the current rules, the verifier of tokens, the recorder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from lockgate import __version__
from lockgate.errors import SetupError
from lockgate.identity.jwt import Verifier
from lockgate.policy.generation import Generation
from lockgate.policy.load import load
from lockgate.recordings.generations import keep
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
            state_dir.chmod(0o700)
        except OSError as error:
            raise SetupError(f"The state directory {state_dir} cannot be used: {error.strerror}.") from error
        self.verifier = Verifier(gateway.issuers, state_dir)
        directory = Path(recordings or gateway.recordings_dir)
        self.recorder = Recorder(directory)
        self.recorder.start({"version": __version__, "generation": self.generation.id})
        keep(directory, self.generation.id, self.generation.files)

    def stop(self) -> None:
        """Write what is still to be written, and let go of the recordings.

        Raises:
            RecordingUnavailable: records were lost.
        """
        if hasattr(self, "recorder"):
            self.recorder.close()

    def now(self) -> datetime:
        """The instant a decision is made at, UTC."""
        return datetime.now(UTC)
