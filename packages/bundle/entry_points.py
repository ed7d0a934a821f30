"""Entry points: the functions that a bundle names are looked for before anything runs.

Only what is sure to fail is told: a name that nothing in its module could bind, or a function
that cannot be called as it will be.
"""

import ast
from collections.abc import Iterator, Mapping

from packages.bundle.bundle import CONVENTIONS, module_files
from packages.bundle.manifest import Manifest
from packages.bundle.manifest_faults import FILE
from wheelhouse.problem import Problem

GIVEN = {
    "entrypoint": ("job",),
    "hooks/on_activate": ("context",),
    "hooks/on_after_extract": ("context", "outcome"),
}
DYNAMIC = frozenset({"exec", "eval", "globals", "vars", "setattr", "__getattr__"})
"""Names whose use means that a module may bind more than can be read in it."""

type FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def targets_of(manifest: Manifest, paths: set[str]) -> dict[str, str]:
    """Return the place in the manifest of each target, to the target (`module:function`).

    A hook that the manifest does not name counts where its file is in the bundle.
    """
    targets = {"entrypoint": manifest.entrypoint}
    for hook, usual in CONVENTIONS.items():
        said = getattr(manifest.hooks, hook)
        if said is not None:
            targets[f"hooks/{hook}"] = said.target
        elif paths.intersection(module_files(usual)):
            targets[f"hooks/{hook}"] = usual
    return targets


def judge_targets(
    targets: Mapping[str, str], *, paths: set[str], parsed: Mapping[str, ast.Module]
) -> Iterator[Problem]:
    """Yield a problem for each target whose file, or whose function in it, is not there.

    `parsed` are the modules that could be parsed, by path; of others nothing is said.
    """
    for place, target in targets.items():
        wanted = module_files(target)
        there = next((path for path in wanted if path in paths), None)
        if there is None:
            yield _absent(
                f"{target!r} needs {wanted[0]}, which is not in the bundle",
                f"{FILE}#/{place}",
                f"add {wanted[0]} or name another function",
            )
        elif there in parsed:
            yield from _judge_function(parsed[there], there, target, given=GIVEN[place])


def _judge_function(
    module: ast.Module, path: str, target: str, *, given: tuple[str, ...]
) -> Iterator[Problem]:
    name = target.partition(":")[2]
    right = f"def {name}(*, {', '.join(given)}, **_):"
    bound = _bound(module)
    if bound is not None and name not in bound:
        what = f"{target!r} needs a function {name} in it, and there is none"
        yield _absent(what, path, f"add `{right}`, or name another function in {FILE}")
    function = _defined(module, name)
    if function is not None and (why := _uncallable(function, given)):
        where = f"{path}:{function.lineno}:{function.col_offset + 1}"
        yield Problem(code="wrong-signature", what=why, where=where, mend=f"write `{right}`")


def _bound(module: ast.Module) -> set[str] | None:
    """Return every name that something in `module` binds; None where that cannot be read."""
    names: set[str] = set()
    for node in ast.walk(module):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name):
                names.add(name)
            case ast.alias(name=name, asname=asname):
                names.add(asname or name.partition(".")[0])
            case ast.Name(id=name):
                names.add(name)
            case _:
                pass
    return None if names & {"*", *DYNAMIC} else names


def _defined(module: ast.Module, name: str) -> FunctionNode | None:
    """Return the plain function of that name, if nothing else binds or decorates it."""
    found = [
        node
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    stored = any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
        for node in ast.walk(module)
    )
    is_plain = len(found) == 1 and not found[0].decorator_list and not stored
    return found[0] if is_plain else None


def _uncallable(function: FunctionNode, given: tuple[str, ...]) -> str:
    """Return why `function` cannot be called with `given` by name; empty if it can."""
    called = f"{function.name}({', '.join(f'{name}=…' for name in given)})"
    if isinstance(function, ast.AsyncFunctionDef):
        return f"{called} would give a coroutine, which nobody awaits"
    if _is_generator(function):
        return f"{called} would give a generator, which nobody iterates, so none of it would run"
    told = function.args
    positional = [*told.posonlyargs, *told.args]
    demanded = positional[: len(positional) - len(told.defaults)]
    demanded += [a for a, d in zip(told.kwonlyargs, told.kw_defaults, strict=True) if d is None]
    for argument in demanded:
        if argument in told.posonlyargs:
            return f"{called} fails: {argument.arg} is not taken by name"
        if argument.arg not in given:
            return f"{called} fails: it demands {argument.arg} as well"
    taken = {argument.arg for argument in (*told.args, *told.kwonlyargs)}
    if told.kwarg is None and (refused := [name for name in given if name not in taken]):
        return f"{called} fails: it does not take {', '.join(refused)}"
    return ""


def _is_generator(function: FunctionNode) -> bool:
    """Return whether there is a yield in the function itself, and not in one within it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
    return False


def _absent(what: str, where: str, mend: str) -> Problem:
    return Problem(code="missing-entry-point", what=what, where=where, mend=mend)
