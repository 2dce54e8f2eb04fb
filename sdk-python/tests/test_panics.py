"""A panic in any function of the native module becomes an exception, and the interpreter goes on.

Nothing is listed here but how to come by objects: the functions are found by walking the module.
"""

from __future__ import annotations

import inspect
import types
import warnings
from collections.abc import Callable, Iterator

import pytest

import pillion
from pillion import _native, aio

CANDIDATES: list[Callable[[], object]] = [
    lambda: "x",
    lambda: 1,
    lambda: (),
    lambda: None,
    lambda: True,
    lambda: ["x"],
    lambda: pillion.embedded()._client,
]
"""What parameters are tried with until one is taken."""

FOREIGN = {
    "__class_getitem__": "PyO3's, for `Stream[T]`; it makes a `types.GenericAlias` and nothing else",
    "inject_panics": "the switch of this test",
}


@pytest.fixture(scope="module")
def makers() -> Iterator[dict[str, Callable[[], object]]]:
    """How to come by objects of classes that programs do not make themselves."""
    with pillion.embedded(testing=True) as p:
        awaited = aio.Pillion(p._client.twin(True), owner=False)
        yield {
            "Client": lambda: p._client,
            "Coroutine": lambda: awaited.apis.state.get("k"),
            "Stream": lambda: p.apis.shapes.expand(1),
            "AsyncStream": lambda: awaited.apis.shapes.expand(1),
            "Upload": lambda: p.apis.shapes.collect(),
            "AsyncUpload": lambda: awaited.apis.shapes.collect(),
            "Duplex": lambda: p.apis.shapes.converse(),
            "AsyncDuplex": lambda: awaited.apis.shapes.converse(),
            "Apis": lambda: p.apis,
            "AsyncApis": lambda: awaited.apis,
            **{name: lambda name=name: getattr(p.apis, name) for name in dir(p.apis) if name[0] != "_"},
            **{f"Async{name}": lambda name=name: getattr(awaited.apis, name) for name in dir(p.apis) if name[0] != "_"},
        }


def instance(kind: type, makers: dict[str, Callable[[], object]]) -> object:
    """An object of this class."""
    for maker in [*makers.values(), kind, lambda: kind("x")]:
        try:
            made = maker()
        except TypeError:
            continue
        if type(made) is kind:
            return made
        dispose(made)
    pytest.fail(f"no maker gives a {kind}")


def dispose(made: object) -> None:
    """Ends what would warn that it was forgotten."""
    if isinstance(made, _native.Coroutine):
        made.close()


def classes(module: types.ModuleType) -> Iterator[type]:
    """The classes of a module, of its submodules, and within classes."""

    def within(kind: type) -> Iterator[type]:
        yield kind
        for member in vars(kind).values():
            if isinstance(member, type):
                yield from within(member)

    for member in vars(module).values():
        if isinstance(member, types.ModuleType):
            yield from classes(member)
        elif isinstance(member, type):
            yield from within(member)


def functions(module: types.ModuleType) -> Iterator[tuple[str, Callable[..., object]]]:
    """The functions of the module."""
    for name, member in vars(module).items():
        if isinstance(member, types.BuiltinFunctionType):
            yield name, member


def members(kind: type) -> Iterator[tuple[str, Callable[[object], Callable[..., object]]]]:
    """The methods, slots, getters and constructor of a class, each as what gives it for an object."""
    for name, member in vars(kind).items():
        if isinstance(member, (types.GetSetDescriptorType, types.MemberDescriptorType)):
            yield name, lambda made, member=member: lambda: member.__get__(made)
        elif name == "__new__":
            yield name, lambda made, kind=kind: kind
        elif callable(member) and not isinstance(member, type):
            yield name, lambda made, member=member: member.__get__(made)


def panic_in(function: Callable[..., object]) -> str | None:
    """Has it panic. What is wrong with how that ended, if anything is."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        parameters = []
    required = [found.name for found in parameters if found.default is found.empty and found.kind < found.VAR_POSITIONAL]
    tried = dict.fromkeys(required, 0)
    while True:
        arguments = [CANDIDATES[tried[name]]() for name in required]
        _native.inject_panics(True)
        try:
            done = function(*arguments)
        except pillion.InternalError as error:
            return None if "because the test asked for it" in error.message else repr(error)
        except TypeError as error:
            notes = [*getattr(error, "__notes__", []), str(error)]
            refused = [name for name in required if any(f"'{name}'" in note for note in notes)]
            if not refused or tried[refused[0]] + 1 == len(CANDIDATES):
                return repr(error)
            tried[refused[0]] += 1
        except BaseException as error:
            return repr(error)
        else:
            dispose(done)
            return f"no panic, but {done!r}"
        finally:
            _native.inject_panics(False)


def test_a_panic_in_any_function_is_an_exception(makers):
    found, unguarded = 0, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for name, function in functions(_native):
            if name not in FOREIGN:
                found += 1
                unguarded.append((name, panic_in(function)))
        for kind in classes(_native):
            if issubclass(kind, BaseException):
                continue
            made = instance(kind, makers)
            for name, of in members(kind):
                if name not in FOREIGN:
                    found += 1
                    unguarded.append((f"{kind.__module__}.{kind.__qualname__}.{name}", panic_in(of(made))))
            dispose(made)
    assert [(name, problem) for name, problem in unguarded if problem] == []
    # What the walk does not find, it does not prove.
    assert found > 400
    assert any(name.endswith("ShapesApi.echo") for name, _ in unguarded)
    with pillion.embedded() as p:
        p.state.set("k", "alive")
        assert p.state.get("k") == "alive"


def test_the_objects_go_on(makers):
    for name in ["Stream", "Duplex", "Upload"]:
        stream = makers[name]()
        _native.inject_panics(True)
        try:
            with pytest.raises(pillion.InternalError):
                stream.close()
        finally:
            _native.inject_panics(False)
        stream.close()
