"""The content view "Lockgate" of mitmweb and mitmproxy's console: who, verdict, rules, masks, approval of a flow.

Of one that is under way it tells what is known so far; of one that was loaded from a recording, what was recorded.
"""

from __future__ import annotations

from typing import Any

from mitmproxy import contentviews, http

from lockgate.exchange import known
from lockgate.projection import projection
from lockgate.recordings.dump import clean
from lockgate.recordings.story import story


class Lockgate(contentviews.Contentview):
    """Never chosen by itself: a body is shown as what it is, until somebody asks for this."""

    name = "Lockgate"
    syntax_highlight = "none"

    def prettify(self, data: bytes, metadata: contentviews.Metadata) -> str:
        """Raises ValueError for a flow of somebody else's."""
        flow = metadata.flow
        said = told_of(flow) if isinstance(flow, http.HTTPFlow) else None
        if flow is None or said is None:
            raise ValueError("Lockgate knows nothing of this flow")
        return "\n".join(story(flow.get_state(), said)) + "\n"

    def render_priority(self, data: bytes, metadata: contentviews.Metadata) -> float:
        return -1


def told_of(flow: http.HTTPFlow) -> dict[str, Any] | None:
    recorded = flow.metadata.get("lockgate")
    if isinstance(recorded, dict):
        return recorded
    found = known(flow)
    return clean(projection(flow, found)) if found is not None else None


def add() -> None:
    """Make it known to mitmproxy; where it is known already, nothing changes."""
    contentviews.add(Lockgate())
