"""`pillion` for asyncio, trio and whatever awaits: the same calls, to be awaited.

    import asyncio
    from pillion import aio

    async def main():
        async with aio.open() as p:
            await p.state.set("cart:42", {"items": 3})
            print(await p.state.get("cart:42"))

    asyncio.run(main())
"""

from pillion._native import AsyncDuplex as Duplex
from pillion._native import AsyncStream as Stream
from pillion._native import AsyncUpload as Upload
from pillion.aio._client import Pillion, connect, embedded, open
from pillion.aio._state import State

__all__ = ["Duplex", "Pillion", "State", "Stream", "Upload", "connect", "embedded", "open"]
