"""A WebSocket server that says again what it is told, on the port given."""

import asyncio
import logging
import sys

from websockets.asyncio.server import serve

# The test waits by connecting and hanging up, which would be reported each time.
logging.getLogger("websockets").setLevel(logging.CRITICAL)


def choose(connection, offered):
    """Speaks `chat` to those who ask for it, and refuses those who ask for something else."""
    from websockets.exceptions import NegotiationError

    if offered and "chat" not in offered:
        raise NegotiationError("no such subprotocol")
    return "chat" if offered else None


async def answer(socket):
    async for message in socket:
        if message == "close":
            await socket.close(4001, "as you wish")
        elif message == "protocol":
            await socket.send(socket.subprotocol or "none")
        else:
            await socket.send(message)


async def main():
    port = int(sys.argv[1])
    async with serve(answer, "127.0.0.1", port, select_subprotocol=choose) as server:
        await server.serve_forever()


asyncio.run(main())
