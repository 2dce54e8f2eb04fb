"""Frozen records, as `dataclasses` makes them, for a fraction of the time that importing it takes."""

from __future__ import annotations

import typing


def dataclass(*, frozen: bool) -> typing.Callable[[type], type]:
    """As `dataclasses.dataclass`, for classes without defaults. Type checkers see that one instead."""
    assert frozen, "records do not change"

    def decorate(kind: typing.Any) -> typing.Any:
        names = tuple(kind.__annotations__)

        def __init__(self: typing.Any, *values: typing.Any, **named: typing.Any) -> None:
            given = dict(zip(names, values, strict=False), **named)
            if len(values) > len(names) or given.keys() != set(names):
                raise TypeError(f"{kind.__name__} takes {', '.join(names) or 'nothing'}")
            self.__dict__.update(given)

        def __setattr__(self: typing.Any, name: str, value: typing.Any) -> None:
            raise AttributeError(f"cannot assign to field {name!r}")

        def __eq__(self: typing.Any, other: object) -> bool:
            return self.__dict__ == other.__dict__ if type(other) is kind else NotImplemented

        def __hash__(self: typing.Any) -> int:
            return hash(tuple(self.__dict__[name] for name in names))

        def __repr__(self: typing.Any) -> str:
            return f"{kind.__name__}({', '.join(f'{name}={self.__dict__[name]!r}' for name in names)})"

        for method in (__init__, __setattr__, __eq__, __hash__, __repr__):
            setattr(kind, method.__name__, method)
        setattr(kind, "__match_args__", names)  # noqa: B010
        return kind

    return decorate
