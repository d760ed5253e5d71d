"""An MCP client over streamable HTTP: it lists the tools of a server, and calls one.

lockgate run --role engineer -- python client.py get_ticket '{"number": 7}'
"""

from __future__ import annotations

import asyncio
import json
import sys

from mcp import Client, MCPError

SERVER = "https://mcp.tickets.example/mcp"


async def main(name: str, arguments: str) -> int:
    async with Client(SERVER) as client:
        print(json.dumps([tool.name for tool in (await client.list_tools()).tools]))
        try:
            result = await client.call_tool(name, json.loads(arguments))
        except MCPError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        print(json.dumps(result.structured_content))
        return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
