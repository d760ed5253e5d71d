"""A real browser: headless Chromium, driven by the DevTools protocol (https://chromedevtools.github.io/)."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

PROGRAM = shutil.which("chromium")
PATIENCE = 20.0  # seconds
FLAGS = (
    "--headless",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
KEYS = {"Tab": 9, "Enter": 13, " ": 32}


class Chromium:
    """One browser with an empty profile."""

    def __init__(self, profile: Path) -> None:
        self._profile = profile
        self._process: asyncio.subprocess.Process | None = None
        self._url = ""

    async def __aenter__(self) -> Chromium:
        assert PROGRAM
        self._process = await asyncio.create_subprocess_exec(
            PROGRAM,
            *FLAGS,
            f"--user-data-dir={self._profile}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self._process.stderr
        async with asyncio.timeout(PATIENCE):
            async for line in self._process.stderr:
                if found := re.search(rb"DevTools listening on (ws://\S+)", line):
                    self._url = found[1].decode()
                    break
        self._drain = asyncio.create_task(self._process.stderr.read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process
        self._process.kill()
        await self._process.wait()
        await self._drain

    async def tab(self, *, width: int = 1280, height: int = 900, phone: bool = False, dark: bool = False) -> Tab:
        """A page in a context of its own: it shares no cookies."""
        wire = await connect(self._url, max_size=None, proxy=None)
        tab = Tab(wire)
        context = (await tab.ask("Target.createBrowserContext"))["browserContextId"]
        target = await tab.ask("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await tab.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        tab.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await tab.ask(f"{domain}.enable")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        await tab.ask("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await tab.ask("Emulation.setEmulatedMedia", features=[scheme])
        return tab


class Tab:
    """One page. `said` is what its console has, `dialogs` how many it has opened, `asked` which URLs it has asked."""

    def __init__(self, wire: ClientConnection) -> None:
        self._wire = wire
        self._count = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.create_task(self._read())
        self.session: str | None = None
        self.said: list[str] = []
        self.asked: list[str] = []
        self.dialogs = 0

    async def close(self) -> None:
        await self._wire.close()
        await self._reader

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        answer = self._answers[self._count] = asyncio.get_running_loop().create_future()
        await self._wire.send(json.dumps(message))
        async with asyncio.timeout(PATIENCE):
            result: dict[str, Any] = await answer
            return result

    async def _read(self) -> None:
        async for text in self._wire:
            message = json.loads(text)
            method, details = message.get("method"), message.get("params", {})
            if "id" in message:
                answer = self._answers.pop(message["id"])
                if "error" in message:
                    answer.set_exception(AssertionError(message["error"]))
                elif not answer.done():
                    answer.set_result(message["result"])
            elif method == "Log.entryAdded":
                self.said.append(details["entry"]["text"])
            elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                self.said.append(json.dumps(details))
            elif method == "Network.requestWillBeSent":
                self.asked.append(details["request"]["url"])
            elif method == "Page.javascriptDialogOpening":
                self.dialogs += 1

    async def run(self, script: str) -> Any:
        """The value of an expression, awaited where it is a promise."""
        done = await self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    async def until(self, script: str) -> None:
        """Return once an expression is true."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                if await self.run(f"!!({script})"):
                    return
            except AssertionError:  # while another page comes
                if asyncio.get_running_loop().time() > end:
                    raise
            assert asyncio.get_running_loop().time() < end, f"never true: {script}"
            await asyncio.sleep(0.02)

    async def go(self, url: str) -> None:
        """Open a page, whole."""
        answer = await self.ask("Page.navigate", url=url)
        assert "errorText" not in answer, answer["errorText"]
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def type(self, text: str) -> None:
        await self.ask("Input.insertText", text=text)

    async def press(self, key: str) -> None:
        """Press and release a key."""
        known = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        text = {"text": "\r"} if key == "Enter" else {"text": " "} if key == " " else {}
        await self.ask("Input.dispatchKeyEvent", type="keyDown", **known, **text)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", **known)

    async def picture(self, *, whole: bool = False) -> bytes:
        """A PNG of what is seen, or of the whole page."""
        found = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(found["data"])
