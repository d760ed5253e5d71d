"""What the stages work with while the gateway runs: rules in force, verifier of tokens, credentials, recorder."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from lockgate import __version__
from lockgate.approvals.approval import Approval
from lockgate.approvals.desk import Desk
from lockgate.approvals.recent import RecentDecisions
from lockgate.approvals.tinydb import TinyStore
from lockgate.credentials.cache import Cache
from lockgate.credentials.registry import Credentials
from lockgate.credentials.sources import Secrets
from lockgate.errors import (
    KeysUnavailable,
    RulesInvalid,
    SecretUnavailable,
    SetupError,
    StoreUnavailable,
    TokenRejected,
    UnknownKey,
)
from lockgate.identity.jwt import Verifier
from lockgate.identity.remote import KeyCaches
from lockgate.identity.revocations import Revocation, Revocations
from lockgate.limits import group
from lockgate.model import Checkpoints, GatewayConfig, Happening, Issuer, Keeping, Principal, SecretSource
from lockgate.notices import notice_of
from lockgate.notify.notifications import Notifications
from lockgate.policy import documents
from lockgate.policy.files import read_files
from lockgate.policy.generation import Generation
from lockgate.policy.load import assemble
from lockgate.pushing import Deliver, Pushing, to_file, to_url
from lockgate.recordings import trust
from lockgate.recordings.checkpoints import Marking
from lockgate.recordings.disk import free_space
from lockgate.recordings.encrypted import learn
from lockgate.recordings.files import in_order
from lockgate.recordings.generations import keep
from lockgate.recordings.keeper import Keeper
from lockgate.recordings.recorder import Recorder
from lockgate.recordings.strangers import StrangersTally
from lockgate.recordings.tombstones import EVENT as TOMBSTONE
from lockgate.recordings.tombstones import Pruned, tombstone
from lockgate.state import key
from lockgate.workers import Workers

RECORDED_PROBLEMS = 100
LEAST_SECRET = 32  # characters
KEPT_WITHIN = 5.0  # seconds at the end for a record file to be put away
PUSHED_WITHIN = 5.0  # seconds at the end for the last checkpoint to be delivered

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InForce:
    """What a request is identified, read and decided by: one object, so that nothing sees half of a change."""

    generation: Generation
    verifier: Verifier
    approvers: Verifier


class Runtime:
    """Made empty, so that the chain can be composed on import; `start` fills it before anything is served.

    `current` is replaced as a whole, at any await. Identify takes it for a request; later stages use what the exchange
    holds of it, never `current` itself.
    """

    rules: Path
    current: InForce
    credentials: Credentials
    revocations: Revocations
    recorder: Recorder
    desk: Desk
    recordings_dir: Path
    strangers: StrangersTally
    hash_key: bytes

    def __init__(self) -> None:
        self.workers = Workers()
        self.held: dict[str, str] = {}  # the approvals that requests wait for just now, by their flows' ids
        self.killed: set[str] = set()  # of those, the flows that were killed in mitmweb
        self.recent = RecentDecisions()
        self._background: set[asyncio.Task[None]] = set()
        self.notifications = Notifications(self._secret)

    def start(self, rules: Path, recordings: str = "", state: str = "") -> None:
        """Load the rules, make the state's directory, open and repair the recordings.

        `recordings` and `state` go before what the rules say. Raises RulesInvalid, and SetupError for a directory that
        cannot be used.
        """
        self.rules = Path(os.path.normpath(rules.absolute()))
        self._overrides = (recordings, state)
        generation = assemble(read_files(self.rules), self.rules)
        self.recordings_dir, self._state = self._places(generation.gateway)
        try:
            self._state.mkdir(parents=True, exist_ok=True)
            self._state.chmod(0o700)
        except OSError as error:
            raise SetupError(f"The state directory {self._state} cannot be used: {error.strerror}.") from error
        self.hash_key = key(self._state, "hash")
        self.credentials = Credentials(self._state, self.hash_key)
        self._key_caches = KeyCaches()
        self.revocations = Revocations(self._state, self._note_revoked)
        self.current = self._in_force(generation)
        self.strangers = StrangersTally()
        self._keeper = self._keeper_of(generation.gateway.keeping)
        self.recorder = Recorder(
            self.recordings_dir,
            marking=self._marking(generation.gateway.checkpoints),
            rotate=generation.gateway.keeping.rotate,
            closed=self._keeper.closed,
        )
        self.recorder.start({"version": __version__, "generation": generation.id})
        self.desk = Desk(
            TinyStore(self._state, key(self._state, "approvals")),
            note=self.recorder.event,
            keep=self.recorder.durable_event,
            tell=self._tell,
        )
        try:
            self.desk.open()
        except StoreUnavailable as error:
            raise SetupError(str(error)) from error
        keep(self.recordings_dir, generation.id, generation.files)
        self._keeper.start()

    def prepare(self, files: Mapping[str, bytes]) -> InForce:
        """Rules that can be put in force, their text kept already. Blocks, for seconds where there are many.

        Raises:
            RulesInvalid: they have errors, or change what only a start can.
            SetupError: their text cannot be kept beside the recordings.
        """
        generation = assemble(files, self.rules)
        self._require_same_places(generation)
        prepared = self._in_force(generation)
        keep(self.recordings_dir, generation.id, generation.files)
        return prepared

    async def put_in_force(self, prepared: InForce) -> None:
        """Decide every request that comes from now on by these rules, once that is durable in the recordings.

        Raises:
            RecordingUnavailable: it cannot be made durable; the rules in force stay.
        """
        change = {"from": self.current.generation.id, "to": prepared.generation.id}
        await self.recorder.durable_event("reload", change)
        self.current = prepared
        self.warm()

    def _tell(self, happening: Happening, approval: Approval) -> None:
        """Telling somebody decides nothing: whatever goes wrong with it, the hold stands as it is."""
        config = self.current.generation.gateway.approvals
        try:
            self.notifications.send(config.notify, notice_of(happening, approval, config.url))
        except Exception as fault:  # noqa: BLE001
            log.error("Nobody was told of approval %s: %s.", approval.id, type(fault).__name__)  # noqa: TRY400

    async def _secret(self, source: SecretSource) -> str:
        return await self.credentials.secret(source)

    def warm(self) -> None:
        """Begin to fetch the issuers' keys that are not held yet, so that the first requests need not wait for them."""
        self.current.verifier.warm()

    def _note_revoked(self, entries: Sequence[Revocation]) -> None:
        """Record what is revoked from now on. Raises RecordingUnavailable."""
        self.recorder.event("revocations", {"revocations": [each.document() for each in entries]})
        self.desk.note_revoked(partial(_is_revoked, entries))
        ending = asyncio.get_running_loop().create_task(self._end_revoked())
        self._background.add(ending)
        ending.add_done_callback(self._background.discard)

    async def _end_revoked(self) -> None:
        try:
            await self.desk.end_noted()
        except StoreUnavailable as error:  # tried again by who looks after the desk
            log.warning("What was approved of revoked callers is not ended yet: %s.", error)

    def note_refused(self, problems: Sequence[str]) -> None:
        """Record that changed rules were not taken. Raises RecordingUnavailable."""
        details = {
            "generation": self.current.generation.id,
            "count": len(problems),
            "problems": list(problems[:RECORDED_PROBLEMS]),
        }
        self.recorder.event("reload-refused", details)

    def stop(self) -> None:
        """Write what is still to be written, and let go of the recordings.

        Raises:
            RecordingUnavailable: records were lost.
        """
        if hasattr(self, "recorder"):
            try:
                self._keeper.close(KEPT_WITHIN)
                self.record_strangers()
                self.recorder.close()
            finally:
                self._pushing.close(PUSHED_WITHIN)

    def counts_alone(self, address: str, reason: str) -> bool:
        """Whether the refusal of a caller that nobody knows is only counted: there were many, or the disk is nearly
        full. `record_strangers` must follow, within a minute or so.
        """
        scarce = free_space(self.recordings_dir) < self.current.generation.gateway.recordings_reserve
        return self.strangers.counts_alone(group(address), reason, time.monotonic(), scarce=scarce)

    def record_strangers(self) -> None:
        """Record how many were only counted since the last time. Raises RecordingUnavailable."""
        if counted := self.strangers.take():
            self.recorder.event("strangers", counted)

    async def approver(self, token: str, peer_is_loopback: bool) -> Principal:
        """Whom an approver's token identifies.

        Raises TokenRejected, KeysUnavailable, RevocationsUnavailable.
        """
        while True:
            verifier = self.current.approvers
            try:
                principal = verifier.verify(token, time.time(), peer_is_loopback)
            except (UnknownKey, KeysUnavailable):
                if not await verifier.renew_keys(token):
                    raise
            else:
                if self.revocations.find(principal, None, time.time()):
                    raise TokenRejected("revoked")
                return principal

    def now(self) -> datetime:
        """The instant a decision is made at, UTC."""
        return datetime.now(UTC)

    def _in_force(self, generation: Generation) -> InForce:
        issuers = generation.gateway.issuers
        return InForce(
            generation,
            Verifier(issuers, self._state, self._key_caches),
            Verifier(approvers(generation.gateway), self._state, self._key_caches),
        )

    def _keeper_of(self, config: Keeping) -> Keeper:
        """What puts record files away. Raises SetupError where the secret to encrypt them with cannot be read."""
        secret = None
        if config.encrypt is not None:
            secret = read_at_start(config.encrypt)
            if len(secret) < LEAST_SECRET:
                why = "it is guessed from an encrypted file; make one with: openssl rand -hex 32"
                raise SetupError(
                    f"The secret to encrypt recordings with has fewer than {LEAST_SECRET} characters: {why}."
                )
            learn(secret)
        closed = in_order(self.recordings_dir) if self.recordings_dir.is_dir() else []
        return Keeper(
            self.recordings_dir,
            compressed=config.compress,
            secret=secret,
            keep=config.keep,
            bury=self._bury,
            in_force=lambda: self.current.generation.id,
            closed=closed,
        )

    def _bury(self, files: list[Pruned], why: str) -> None:
        """Runs in the keeper's thread. Raises RecordingUnavailable."""
        document = tombstone(trust.signer(self._state), files, why, time.time())
        asyncio.run(self.recorder.durable_event(TOMBSTONE, document))

    def _marking(self, config: Checkpoints) -> Marking:
        """How the recordings are signed, and who is told of it."""
        signer = trust.signer(self._state)
        places: dict[str, Deliver] = {}
        if config.file is not None:
            places[str(config.file)] = to_file(config.file)
        if config.webhook is not None:
            places["the webhook of checkpoints"] = to_url(config.webhook)
        self._pushing = Pushing({str(self._state): partial(trust.note, self._state), **places})
        return Marking(signer, config.every, self._pushing.push, trust.reached(self._state, signer.verifier))

    def _places(self, gateway: GatewayConfig) -> tuple[Path, Path]:
        """The directories of the recordings and of the state."""
        recordings, state = self._overrides
        return Path(recordings or gateway.recordings_dir), Path(state or gateway.state)

    def _require_same_places(self, generation: Generation) -> None:
        """Both are open and locked: they stay where they are until the next start. Raises RulesInvalid."""
        document = documents.read("gateway.yaml", generation.files["gateway.yaml"])
        wanted = self._places(generation.gateway)
        compared = zip((("recordings", "dir"), ("state",)), (self.recordings_dir, self._state), wanted, strict=True)
        problems = [
            document.problem(
                path,
                f"{'.'.join(path)} cannot change while the gateway runs: put {held} back, or restart it to take {new}",
            )
            for path, held, new in compared
            if new != held
        ]
        if problems:
            raise RulesInvalid(problems)


def read_at_start(source: SecretSource) -> str:
    """A secret, read in a thread with a loop of its own. Raises SetupError."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        try:
            return thread.submit(lambda: asyncio.run(Secrets(Cache()).read(source))).result()
        except SecretUnavailable as error:
            raise SetupError(f"Recordings cannot be encrypted: {error}.") from None


def approvers(gateway: GatewayConfig) -> list[Issuer]:
    """Whose tokens approve: the issuers', for another audience. Assertions do not, nor what is given for them."""
    config = gateway.approvals
    return [
        replace(issuer, audience=config.audience)
        for issuer in gateway.issuers
        if issuer.saml is None and (config.dev or not issuer.dev)
    ]


def _is_revoked(entries: Sequence[Revocation], principal: Principal, target: str) -> bool:
    return any(each.is_about(principal, target) for each in entries)
