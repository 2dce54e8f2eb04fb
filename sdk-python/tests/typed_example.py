"""What a typed program looks like; mypy and pyright check it."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta

import pillion
from pillion import aio
from pillion.types.common import Consistency, Value
from pillion.types.state import Condition, GetResponse, IfAbsent, SetItem, WatchResponse


@dataclasses.dataclass
class Cart:
    items: int


def blocking() -> None:
    with pillion.embedded() as p:
        etag: str = p.state.set("cart", Cart(3), ttl=timedelta(hours=1))
        cart: Cart | None = p.state.get("cart", Cart)
        entry = p.state.get_entry("cart", Cart)
        if entry is not None and cart is not None:
            total: int = entry.value.items + cart.items
            print(total, entry.etag == etag)
        answer: GetResponse = p.apis.state.get("cart", consistency=Consistency.STRONG, timeout=1.5)
        if answer.entry is not None and answer.entry.value is not None:
            data: bytes = answer.entry.value.data
            print(data)
        p.apis.state.set("k", Value(data=b"v"), condition=Condition(Condition.IfAbsent(IfAbsent())))
        p.apis.state.set_many([SetItem(key="k")])
        for found in p.state.list("cart"):
            print(found.key)
        with p.apis.state.watch(prefix="cart") as changes:
            for change in changes:
                match change.event:
                    case WatchResponse.Written(written):
                        print(written.revision)
                    case _:
                        break
        try:
            p.state.delete("cart", if_match=etag)
        except pillion.ConflictError as error:
            print(error.reason, error.metadata.get("key"))


async def awaited() -> None:
    async with aio.embedded() as p:
        await p.state.set("cart", Cart(3))
        cart: Cart | None = await p.state.get("cart", Cart)
        print(cart)
        answer: GetResponse = await p.apis.state.get("cart")
        print(answer.entry)
        async for entry in p.state.list("cart"):
            print(entry.key)
        async with p.apis.state.watch(prefix="cart") as changes:
            async for change in changes:
                print(change.event)
                break


if __name__ == "__main__":
    blocking()
    asyncio.run(awaited())
