"""The approvals page in a real browser, headless Chromium: what is seen, what is pressed, what is kept from running."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from harness.chromium import PROGRAM, Chromium, Tab
from harness.gateway import free_port
from harness.office import BIG, ISSUER
from harness.scene import REFUND, Scene, staged
from lockgate.approvals.approval import Requester, Shown, State
from lockgate.approvals.recent import Recent

pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed"),
    pytest.mark.asyncio(loop_scope="module"),
]
MARKUP = "<script>said('ran')</script><img src=x onerror=said('ran')><svg onload=said('ran')>"
NASTY = f"\u202e{MARKUP}\"'><b id=mine>\x1b[2J</textarea></pre></body>"
LIVE = "document.getElementById('live').textContent === 'Live'"
FRAME = """new Promise(done => {
  const frame = document.createElement('iframe'); frame.src = %r;
  frame.onload = () => {
    let seen = 'nothing'; try { seen = frame.contentDocument.body.textContent } catch {} done(seen) };
  document.body.append(frame); })"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Chromium]:
    async with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest_asyncio.fixture(loop_scope="module")
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as entered:
        yield entered


@pytest_asyncio.fixture(loop_scope="module")
async def scene(stack: AsyncExitStack) -> Scene:
    return await stack.enter_async_context(staged(now=time.time()))


async def opened(stack: AsyncExitStack, chromium: Chromium, scene: Scene, **options: Any) -> Tab:
    """A page on which Fiona has signed in."""
    tab = await chromium.tab(**options)
    stack.push_async_callback(tab.close)
    await tab.go(f"{scene.url}/sign-in")
    await tab.run("document.getElementById('token').focus()")
    await tab.type("fiona.finance")
    await tab.press("Enter")
    await tab.until(f"location.pathname === '/' && document.readyState === 'complete' && {LIVE}")
    return tab


async def shown(tab: Tab, scene: Scene, approval_id: str = "held-1") -> None:
    await tab.go(f"{scene.url}/approvals/{approval_id}")
    await tab.until(LIVE)


async def focused(tab: Tab) -> str:
    return str(
        await tab.run("document.activeElement.id || document.activeElement.value || document.activeElement.textContent")
    )


async def test_decides_by_keyboard(stack: AsyncExitStack, chromium: Chromium, scene: Scene) -> None:
    await scene.hold()
    tab = await opened(stack, chromium, scene)
    await shown(tab, scene)
    order = []
    while (name := await focused(tab)) != "deny" and len(order) < 30:
        await tab.press("Tab")
        order.append(await focused(tab))
    assert order[0] == "To the content", "the first is the way past the head"
    assert order[-5:] == ["reason", "approve", "10m", "1h", "deny"], name
    outline = await tab.run("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus is not seen"
    await tab.run("document.getElementById('reason').focus()")
    await tab.type("looks right")
    await tab.press("Enter")
    assert (
        await tab.run("location.pathname + document.querySelector('.state').textContent") == "/approvals/held-1pending"
    )
    await tab.press("Tab")
    await tab.press("Enter")
    await tab.until("document.querySelector('.said')?.textContent === 'You approved it.'")
    found = scene.office.desk.get("held-1")
    assert found is not None
    assert (found.state, found.votes[0].reason.strip(), found.votes[0].digest) == (
        "approved",
        "looks right",
        found.digest,
    )
    assert tab.said == []


async def test_the_list_is_live(stack: AsyncExitStack, chromium: Chromium, scene: Scene) -> None:
    tab = await opened(stack, chromium, scene)
    assert await tab.run("document.querySelector('.empty').textContent") == "Nothing waits for you."
    await scene.hold()
    await tab.until("document.querySelectorAll('.card').length === 1 && document.title.startsWith('(1)')")
    await tab.run("document.querySelector('.card').focus()")
    await scene.hold("held-2")
    await tab.until("document.querySelectorAll('.card').length === 2")
    assert await focused(tab) == "a-held-1", "the focus is lost"
    await scene.office.desk.cancel("held-1", "gone")
    await tab.until("document.querySelectorAll('.card').length === 1 && document.querySelector('.state.cancelled')")
    left = "document.querySelector('time').textContent"
    before = await tab.run(left)
    await tab.until(f"{left} !== {before!r}")
    assert tab.said == []


async def test_what_is_looked_at_is_live(stack: AsyncExitStack, chromium: Chromium, scene: Scene) -> None:
    """What is being written stays while others vote; once it is over there is no form."""
    held = await scene.hold(holds=(replace(BIG, quorum=2),))
    tab = await opened(stack, chromium, scene)
    await shown(tab, scene)
    await tab.run("document.getElementById('reason').focus()")
    await tab.type("half a reas")
    async with scene.browser("gina.finance") as gina:
        said = {"decision": "approve", "digest": held.digest}
        await gina.post("/api/approvals/held-1", json=said)
        await tab.until("document.querySelector('.gateway').textContent.includes('Approved by')")
        assert await tab.run("document.getElementById('reason').value") == "half a reas"
        await gina.post("/api/approvals/held-1", json=said | {"decision": "deny"})
    await tab.until("document.querySelector('.state.denied') && !document.getElementById('reason')")


async def test_nothing_an_agent_writes_runs(stack: AsyncExitStack, chromium: Chromium, scene: Scene) -> None:
    asker = Requester(ISSUER, NASTY, (NASTY,), behind=((ISSUER, NASTY),))
    shown_to = replace(REFUND, method=NASTY, url=NASTY, headers=((NASTY, NASTY),), body=NASTY, body_is="text")
    await scene.hold(action=(NASTY, NASTY), shown=shown_to, requester=asker, reason=NASTY)
    await scene.hold("held-2", ahead=600.0, reason=NASTY, shown=Shown(), action=("", ""), requester=asker)
    scene.recent.note(ISSUER, NASTY, Recent(0.0, "deny", NASTY, "crm", NASTY, "support/read"))
    tab = await opened(stack, chromium, scene)
    await tab.ask("Page.addScriptToEvaluateOnNewDocument", source="globalThis.said = () => { globalThis.ran = true }")
    for page in ("/", "/approvals/held-1", "/approvals/held-2"):
        await tab.go(scene.url + page)
        await tab.until(LIVE)
        seen = await tab.run("document.body.innerText")
        assert MARKUP in seen.replace("\n", "") or page == "/"
        assert "\\u202e" in seen and "\u202e" not in seen and "\x1b" not in seen
        assert await tab.run("[document.scripts.length, !!document.getElementById('mine'), globalThis.ran]") == [
            1,
            False,
            None,
        ]
    asked = {url for url in tab.asked if not url.startswith(f"{scene.url}/")}
    assert (asked, tab.dialogs, tab.said) == (set(), 0, [])


async def test_its_policy_stops_what_would(stack: AsyncExitStack, chromium: Chromium, scene: Scene) -> None:
    """Even if markup got into the page: no script in it, no style, no request elsewhere, no form to elsewhere."""
    tab = await opened(stack, chromium, scene)
    await tab.run("globalThis.ran = []")
    for script in (
        "const it = document.createElement('script'); it.append('ran.push(1)'); document.body.append(it)",
        "document.body.setAttribute('onclick', 'ran.push(2)'); document.body.click()",
        "document.body.innerHTML = '<img src=x onerror=ran.push(3)>'",
        "setTimeout('ran.push(4)', 0)",
    ):
        await tab.run(f"try {{ {script} }} catch {{}}")
    assert await tab.run("fetch('http://127.0.0.1:1/').then(() => 'went', () => 'stopped')") == "stopped"
    await tab.run(
        "{const it = document.createElement('form'); it.action = 'http://127.0.0.1:1/';"
        "document.body.append(it); it.submit()}"
    )
    await asyncio.sleep(0.1)
    assert await tab.run("[location.pathname, ran]") == ["/", []]
    assert not [url for url in tab.asked if url.startswith("http://127.0.0.1:1/")]


async def elsewhere(stack: AsyncExitStack) -> int:
    """The port of another page on this machine."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b"<!doctype html><title>evil</title><body>evil</body>"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    port = free_port()
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    stack.push_async_callback(server.wait_closed)
    stack.callback(server.close)
    return port


async def test_other_pages_get_nothing(stack: AsyncExitStack, chromium: Chromium, scene: Scene) -> None:
    """Another origin on the same machine, which a browser counts as the same site: it can neither frame the page, nor
    read it, nor send its forms.
    """
    held = await scene.hold()
    tab = await opened(stack, chromium, scene)
    other = f"http://127.0.0.1:{await elsewhere(stack)}"
    await tab.go(other)
    assert "refunds" not in str(await tab.run(FRAME % f"{scene.url}/approvals/held-1"))
    assert [text for text in tab.said if "frame-ancestors 'none'" in text], tab.said
    assert (
        await tab.run(f"fetch('{scene.url}/', {{credentials: 'include'}}).then(() => 'read', () => 'stopped')")
        == "stopped"
    )
    fields = {"decision": "approve", "digest": held.digest, "csrf": "guessed"}
    await tab.run(
        f"{{const it = document.createElement('form'); it.method = 'post'; it.action = '{scene.url}/approvals/held-1';"
        + "".join(
            f"it.append(Object.assign(document.createElement('input'), {{name: '{k}', value: '{v}'}}));"
            for k, v in fields.items()
        )
        + "document.body.append(it); it.submit()}"
    )
    await tab.until("document.body.textContent.includes('did not come from the approvals page')")
    assert scene.office.desk.get("held-1") == held


async def test_a_link_on_another_site(stack: AsyncExitStack, chromium: Chromium, scene: Scene) -> None:
    """The cookie does not come along from there, and yet nobody has to sign in again."""
    await scene.hold()
    tab = await opened(stack, chromium, scene)
    await tab.go(f"http://localhost:{await elsewhere(stack)}")
    await tab.run(f"location.href = '{scene.url}/approvals/held-1'")
    await tab.until("document.querySelector('button.deny')")


async def test_without_scripts(stack: AsyncExitStack, chromium: Chromium, scene: Scene) -> None:
    await scene.hold()
    tab = await chromium.tab()
    stack.push_async_callback(tab.close)
    await tab.ask("Emulation.setScriptExecutionDisabled", value=True)
    await tab.go(f"{scene.url}/sign-in")
    await tab.run("document.getElementById('token').value = 'fiona.finance'; document.forms[0].submit()")
    await tab.until("document.querySelector('.card')")
    assert await tab.run("document.querySelector('meta[http-equiv=refresh]').content") == "15"
    await tab.run("document.querySelector('.card').click()")
    await tab.until("document.querySelector('button.deny')")
    await tab.run("document.querySelector('button.deny').click()")
    await tab.until("document.querySelector('.said')?.textContent === 'You denied it.'")
    found = scene.office.desk.get("held-1")
    assert found is not None and found.state is State.DENIED


async def test_signs_out(stack: AsyncExitStack, chromium: Chromium, scene: Scene) -> None:
    tab = await opened(stack, chromium, scene)
    await tab.run("document.querySelector('.you button').click()")
    await tab.until("location.pathname === '/sign-in'")
    await tab.go(scene.url)
    assert await tab.run("location.pathname") == "/sign-in"


CONTRASTS = """(() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, at) => sum + c * [.2126, .7152, .0722][at], 0);
  const ground = (it) => { for (; it; it = it.parentElement) { const c = rgb(getComputedStyle(it).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  const poor = [];
  for (const it of document.querySelectorAll('main *, header *')) {
    const has_text = [...it.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!has_text || !it.getClientRects().length) continue;
    const [a, b] = [light(rgb(getComputedStyle(it).color)), light(ground(it))].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) poor.push(it.className + ' ' + it.textContent.slice(0, 30));
  } return poor; })()"""


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="desktop"),
        pytest.param({"width": 360, "height": 740, "phone": True, "dark": True}, id="dark-phone"),
    ],
)
async def test_looks(stack: AsyncExitStack, chromium: Chromium, scene: Scene, options: dict[str, Any]) -> None:
    """Contrast of all text (WCAG 2.2, 1.4.3), room for fingers, nothing wider than the screen."""
    long = replace(REFUND, url="https://crm.example/" + "a" * 300, headers=(("x-long", "b" * 3000),), body="c" * 5000)
    await scene.hold(shown=long, holds=(replace(BIG, require_reason=True),))
    await scene.hold("held-2")
    tab = await opened(stack, chromium, scene, **options)
    async with scene.browser("fiona.finance") as api:
        one = (await api.get("/api/approvals/held-2")).json()
        await api.post("/api/approvals/held-2", json={"decision": "approve", "digest": one["digest"], "grant": "1h"})
    for page in ("/", "/approvals/held-1", "/approvals/held-2", "/grants", "/sign-in"):
        await tab.go(scene.url + page)
        assert await tab.run(CONTRASTS) == [], page
        assert await tab.run("document.documentElement.scrollWidth <= innerWidth"), f"{page} is wider than the screen"
        heights = "[...document.querySelectorAll('main button')].map(it => it.getBoundingClientRect().height)"
        assert all(height >= 44 for height in await tab.run(heights))
        unnamed = "[...document.querySelectorAll('input:not([type=hidden]), textarea')].filter(it => !it.labels.length)"
        assert await tab.run(f"{unnamed}.length") == 0
