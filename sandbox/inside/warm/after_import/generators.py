"""Generators of random numbers that an import made: each fork seeds those anew that nobody seeded.

A fork has the state of every one of them, and would draw what all others draw. What the author has
seeded stays as it is: that two imports agree on it is what seeding is for.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SEEDED = "_fumehood_seeded"
_LEAST_ENTROPY_BITS = 65
"""NumPy and torch draw seeds of 128 and 53 bits; what a person writes is hardly as long."""
_LEAST_TORCH_BITS = 33


class Watch:
    """Notes, while a package is imported, which generators of `random` it seeds.

    A seed cannot be told from entropy by the state that it leads to, so `random` is watched from
    its import on: a finder (sys.meta_path) that knows this one name, and goes when it was asked.
    """

    def __init__(self) -> None:
        self._seed: Any = None
        self._setstate: Any = None

    def begin(self) -> None:
        """Wait for `random` to be imported."""
        sys.meta_path.insert(0, self)  # pyright: ignore[reportArgumentType]

    def end(self) -> None:
        """Leave `random` as it would be without us."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)  # pyright: ignore[reportArgumentType]
        module = sys.modules.get("random")
        if self._seed is not None and module is not None:
            kind = _attributes(module)["Random"]
            kind.seed, kind.setstate = self._seed, self._setstate
            _bind(module)

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        """Return the spec of `random` by the finder that would have found it, and watch it load."""
        if name != "random":
            return None
        sys.meta_path.remove(self)  # pyright: ignore[reportArgumentType]
        for finder in sys.meta_path:
            spec: Any = finder.find_spec(name, path, target)  # pyright: ignore
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec.loader, self)
                return spec
        return None

    def watch(self, module: Any) -> None:
        """Have each generator of the class note whether it was seeded, and not by entropy."""
        kind = module.Random
        self._seed, self._setstate = seed, setstate = kind.seed, kind.setstate

        def noting_seed(self: Any, a: Any = None, version: int = 2) -> None:
            _attributes(self)[_SEEDED] = a is not None
            seed(self, a, version)

        def noting_setstate(self: Any, state: Any) -> None:
            _attributes(self)[_SEEDED] = True
            setstate(self, state)

        kind.seed, kind.setstate = noting_seed, noting_setstate
        _bind(module)


class _Loader:
    """Loads a module as another loader does, and shows it to the watch; then it is forgotten."""

    def __init__(self, loader: Any, watch: Watch) -> None:
        self._loader, self._watch = loader, watch

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._watch.watch(module)


def _bind(module: Any) -> None:
    """Let the functions of the module be those of its one generator, as it binds them itself."""
    its = _attributes(module)
    its["seed"], its["setstate"] = its["_inst"].seed, its["_inst"].setstate


def _attributes(thing: Any) -> dict[str, Any]:
    return thing.__dict__


class Unseeded:
    """The generators that nobody has seeded, found once, before any fork."""

    def __init__(self) -> None:
        self._kind: Any = None
        self._seeded: Any = None
        """The state of the one that `random` has for all, which seeds that anew in every fork."""
        self._plain: list[Any] = []
        self._numpy: list[Any] = []
        self._has_torch = False

    def find(self) -> None:
        """Look through all live objects of the import."""
        kind = self._kind = _named("random", "Random")
        system = _named("random", "SystemRandom")
        bits = _named("numpy.random", "BitGenerator")
        things: list[Any] = gc.get_objects() if kind or bits else []
        for thing in things:
            its: Any = type(thing)  # pyright: ignore[reportUnknownVariableType] – never isinstance
            if kind and issubclass(its, kind) and not issubclass(its, system):
                self._note(thing)
            elif bits and issubclass(its, bits) and _is_of_entropy(thing):
                self._numpy.append(thing)
        torch = sys.modules.get("torch")
        if torch is not None and hasattr(torch, "initial_seed"):
            self._has_torch = int(torch.initial_seed()).bit_length() >= _LEAST_TORCH_BITS

    def _note(self, generator: Any) -> None:
        noted = _attributes(generator)
        is_seeded = _SEEDED in noted and bool(noted.pop(_SEEDED))
        if not is_seeded:
            self._plain.append(generator)
        elif generator is _named("random", "_inst"):
            self._seeded = generator.getstate()

    def seed(self) -> None:
        """Give each a state of its own, in a fork."""
        if self._seeded is not None:
            _named("random", "_inst").setstate(self._seeded)
        for generator in self._plain:
            self._kind.seed(generator, os.urandom(32))
        for bits in self._numpy:
            _seed_bits(bits)
        if self._has_torch:
            sys.modules["torch"].seed()


def _named(module: str, name: str) -> Any:
    return getattr(sys.modules.get(module), name, None)


def _sequence(bits: Any) -> Any:
    return getattr(bits, "seed_seq", None) or getattr(bits, "_seed_seq", None)


def _is_of_entropy(bits: Any) -> bool:
    """Say whether NumPy has drawn the seed itself: seeded in the old way, there is no sequence."""
    entropy = getattr(_sequence(bits), "entropy", None)
    return isinstance(entropy, int) and entropy.bit_length() >= _LEAST_ENTROPY_BITS


def _seed_bits(bits: Any) -> None:
    """Put a fresh state in, and a fresh sequence, of which spawned generators are seeded."""
    fresh = type(bits)()
    bits.state = fresh.state
    old, new = _sequence(bits), _sequence(fresh)
    if hasattr(old, "__setstate_cython__"):
        old.__setstate_cython__(new.__reduce_cython__()[2])
