"""State: values under keys."""

from __future__ import annotations

import typing

from pillion import _native
from pillion._value import decode, encode
from pillion.state import Entry, as_change, as_condition, as_entry
from pillion.types import state as types

if typing.TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from datetime import timedelta
    from types import TracebackType

    from pillion import PillionError
    from pillion.aio.apis import StateApi
    from pillion.state import Change
    from pillion.types.common import Consistency

T = typing.TypeVar("T")


class Reader(typing.Generic[T]):
    """What a list or watch gives, one after another."""

    def __init__(self, stream: typing.Any, make: typing.Callable[[typing.Any], T]) -> None:
        self._stream = stream
        self._make = make

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        return self._make(await anext(self._stream))

    def close(self) -> None:
        """Ends the stream."""
        self._stream.close()

    def __repr__(self) -> str:
        return "<pillion.aio.Reader: iterate over it with `async for`>"

    async def __aenter__(self) -> Reader[T]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class State:
    """A handle on one state store.

    Keys are 1 byte to 1 KiB of UTF-8 without control characters and without `||`. Values are bytes, text,
    or what is written as JSON: dicts, lists, numbers, dataclasses, models of pydantic and msgspec.
    """

    def __init__(self, client: typing.Any, api: StateApi, store: str = "") -> None:
        """Not for programs: use `Pillion.state`."""
        self._client = client
        self._api = api
        self._store = store

    def store(self, name: str) -> State:
        """The store that is declared under `name`. Whether there is one, the first call shows."""
        return State(self._client, self._api, name)

    def __repr__(self) -> str:
        return f"<pillion.aio.State {self._store or 'state'!r}>"

    @typing.overload
    async def get(self, key: str, *, consistency: Consistency | int = 0) -> typing.Any: ...
    @typing.overload
    async def get(self, key: str, into: type[T], *, consistency: Consistency | int = 0) -> T | None: ...
    async def get(self, key: str, into: typing.Any = None, *, consistency: Consistency | int = 0) -> typing.Any:
        """The value under a key; none if there is no entry.

        Args:
            key: The key.
            into: What the value is read as: `bytes`, `str`, a dataclass, a model of pydantic or msgspec, or a
                type of JSON. Without it the content type decides.
            consistency: How current the answer has to be.

        Raises:
            InvalidError: `value.content_type_mismatch` if the value is not such a thing.

        Example:
            cart = await p.state.get("cart:42")
        """
        entry = (await self._api.get(key, store=self._store, consistency=consistency)).entry
        return None if entry is None or entry.value is None else decode(entry.value, into)

    @typing.overload
    async def get_entry(self, key: str, *, consistency: Consistency | int = 0) -> Entry[typing.Any] | None: ...
    @typing.overload
    async def get_entry(self, key: str, into: type[T], *, consistency: Consistency | int = 0) -> Entry[T] | None: ...
    async def get_entry(
        self, key: str, into: typing.Any = None, *, consistency: Consistency | int = 0
    ) -> Entry[typing.Any] | None:
        """The entry under a key, with etag, content type and expiry; none if there is none.

        Example:
            entry = await p.state.get_entry("cart:42")
        """
        entry = (await self._api.get(key, store=self._store, consistency=consistency)).entry
        return None if entry is None else as_entry(entry, into)

    async def get_many(
        self, keys: Iterable[str], into: typing.Any = None, *, consistency: Consistency | int = 0
    ) -> dict[str, typing.Any]:
        """The values under 1 to 1,000 keys; keys without an entry are left out.

        Raises:
            PillionError: One of the keys could not be read. `apis.state.get_many` tells them apart.

        Example:
            carts = await p.state.get_many(["cart:1", "cart:2"])
        """
        answer = await self._api.get_many(keys, store=self._store, consistency=consistency)
        found = {}
        for result in answer.results:
            if result.error is not None:
                raise result.error
            if result.entry is not None and result.entry.value is not None:
                found[result.key] = decode(result.entry.value, into)
        return found

    async def set(
        self,
        key: str,
        value: object,
        *,
        ttl: timedelta | float | None = None,
        keep_ttl: bool = False,
        if_absent: bool = False,
        if_match: str | None = None,
        content_type: str | None = None,
        consistency: Consistency | int = 0,
        idempotency_key: str = "",
    ) -> str:
        """Writes an entry, and returns its new etag.

        Args:
            key: The key.
            value: Bytes, text, or what is written as JSON.
            ttl: The entry is gone after this time, in seconds or as a timedelta; without it, it stays.
            keep_ttl: Leave the expiry of the present entry as it is.
            if_absent: Only if there is no entry.
            if_match: Only if the entry has this etag.
            content_type: The content type, if it is not the usual one of such a value.
            consistency: How safe the write has to be.
            idempotency_key: A repeated call with the same key is applied once, where the store declares it.

        Raises:
            ConflictError: `state.etag_mismatch` if the condition does not hold.

        Example:
            etag = await p.state.set("cart:42", {"items": 3}, ttl=3600)
        """
        answer = await self._api.set(
            key,
            encode(value, content_type),
            store=self._store,
            condition=as_condition(if_absent, if_match),
            ttl=ttl,
            keep_ttl=keep_ttl,
            consistency=consistency,
            idempotency_key=idempotency_key,
        )
        return answer.etag

    async def set_many(
        self, values: Mapping[str, object], *, ttl: timedelta | float | None = None, consistency: Consistency | int = 0
    ) -> dict[str, str | PillionError]:
        """Writes 1 to 1,000 entries, each for itself. The result has the etag or the error of each.

        Example:
            await p.state.set_many({"cart:1": {"items": 1}, "cart:2": {"items": 2}})
        """
        items = [types.SetItem(key=key, value=encode(value), ttl=ttl) for key, value in values.items()]
        answer = await self._api.set_many(items, store=self._store, consistency=consistency)
        return {result.key: result.error or result.etag for result in answer.results}

    async def delete(
        self, key: str, *, if_match: str | None = None, consistency: Consistency | int = 0, idempotency_key: str = ""
    ) -> bool:
        """Deletes an entry; says whether there was one.

        Raises:
            ConflictError: `state.etag_mismatch` if it does not have the etag `if_match`.

        Example:
            await p.state.delete("cart:42")
        """
        answer = await self._api.delete(
            key,
            store=self._store,
            condition=as_condition(False, if_match),
            consistency=consistency,
            idempotency_key=idempotency_key,
        )
        return answer.existed

    def list(
        self, prefix: str = "", into: typing.Any = None, *, page_size: int | None = None
    ) -> Reader[Entry[typing.Any]]:
        """Every entry whose key begins with `prefix`. Pages are fetched as they are needed.

        Example:
            async for entry in p.state.list("cart:"):
                print(entry.key, entry.value)
        """
        stream = _native.state_list(self._client, self._store, prefix, False, page_size)
        return Reader(stream, lambda entry: as_entry(entry, into))

    def keys(self, prefix: str = "", *, page_size: int | None = None) -> Reader[str]:
        """Every key that begins with `prefix`, without the values.

        Example:
            async for key in p.state.keys("cart:"):
                print(key)
        """
        stream = _native.state_list(self._client, self._store, prefix, True, page_size)
        return Reader(stream, lambda entry: str(entry.key))

    def watch(
        self, prefix: str = "", into: typing.Any = None, *, key: str | None = None, after: int | None = None
    ) -> Reader[Change[typing.Any]]:
        """Every change of the entries whose key begins with `prefix`, or of one.

        It begins with the present entries and `Synced`. A lost connection does not end it: it is made
        again, and the watch resumes, or reports `Resync` where that is impossible.

        Args:
            prefix: Only keys that begin so.
            into: What values are read as.
            key: Only this key.
            after: Go on after this `revision` of an earlier watch of the same store and keys.

        Example:
            async with p.state.watch("cart:") as changes:
                async for change in changes:
                    print(change)
        """
        stream = _native.state_watch(self._client, self._store, prefix, key, after)
        return Reader(stream, lambda message: as_change(message, into))
