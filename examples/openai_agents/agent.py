"""A support agent on the OpenAI Agents SDK. Nothing of the gateway is in it, and no key but a placeholder.

lockgate run --role support -- python agent.py "Tell me about customer 42"

It prints what it does, one JSON object a line.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys

import httpx
from agents import Agent, Runner, function_tool

CRM = "https://api.crm.example"

os.environ.setdefault("OPENAI_API_KEY", "placeholder")
crm = httpx.AsyncClient(base_url=CRM, timeout=httpx.Timeout(30, read=600))  # a person may have to decide first


@function_tool
async def get_customer(customer_id: str) -> str:
    """Read a customer's record."""
    return await asked("GET", f"/v1/customers/{customer_id}")


@function_tool
async def export_customers() -> str:
    """Export every customer's record."""
    return await asked("GET", "/v1/customers/export")


@function_tool
async def make_refund(amount: int, currency: str) -> str:
    """Pay an amount back."""
    return await asked("POST", "/v1/refunds", {"amount": amount, "currency": currency})


async def asked(method: str, path: str, document: object = None) -> str:
    answer = await crm.request(method, path, json=document)
    tell(event="tool", request=f"{method} {CRM}{path}", status=answer.status_code, body=answer.text)
    return answer.text


def tell(**what: object) -> None:
    print(json.dumps(what), flush=True)


class Tell(logging.Handler):
    """What the SDK says of its own requests: its export of traces among them."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(event="sdk", message=record.getMessage())


async def main() -> None:
    logging.getLogger("openai.agents").addHandler(Tell())
    agent = Agent(
        name="Support",
        model="gpt-5-mini",
        instructions="You help support staff. Use the tools; say what you could not do, and why.",
        tools=[get_customer, export_customers, make_refund],
    )
    result = Runner.run_streamed(agent, " ".join(sys.argv[1:]) or "Tell me about customer 42.")
    deltas = 0
    async for event in result.stream_events():
        deltas += event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    tell(event="answer", text=result.final_output, pieces=deltas)


if __name__ == "__main__":
    asyncio.run(main())
