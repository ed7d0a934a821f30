"""Byte-compiles the runner's code; run by the interpreter that it is for: FOLDER MODE…

`start.pyc` is started by its path. What a MODE imports lies beside it as `MODE.made`, in the order
in which it can be made: to look for each module in folders is a twelfth of a cold start. All else
is compiled where it is, and imported as ever by who needs it.
"""

from __future__ import annotations
import __future__

import ast
import compileall
import marshal
import py_compile
import sys
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH


class Inside:
    """The folder of the package; its modules are named from there, and it has an empty name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def imported(self, mode: str) -> list[str]:
        """Return all that importing `mode` imports of it, each after what it imports itself."""
        seen: set[str] = set()
        ordered: list[str] = []

        def visit(name: str) -> None:
            if name in seen or not self.is_module(name):
                return
            seen.add(name)
            for one in self.relative_imports(name):
                visit(one)
            ordered.append(name)

        visit(mode)
        return ordered

    def relative_imports(self, name: str) -> Iterator[str]:
        """Yield what a module may import of it at its top level, the packages around it first."""
        parts = name.split(".") if name else []
        for count in range(len(parts)):
            yield ".".join(parts[:count])
        package = parts if self.place(name).name == "__init__.py" else parts[:-1]
        for statement in self.tree(name).body:
            if isinstance(statement, ast.ImportFrom) and statement.level:
                base = package[: len(package) - statement.level + 1]
                base = [*base, *(statement.module.split(".") if statement.module else [])]
                yield ".".join(base)
                for alias in statement.names:
                    yield ".".join([*base, alias.name])

    def compiled(self, name: str) -> tuple[str, str, CodeType]:
        """Return the module's name, where it is below the folder, and its code.

        Its annotations are not evaluated, as it says by an import, which would be 0.2 ms.
        """
        tree = self.tree(name)
        tree.body = [one for one in tree.body if not _is_of_the_future(one)]
        flags = __future__.annotations.compiler_flag
        place = self.place(name)
        code = compile(tree, str(place), "exec", flags=flags, dont_inherit=True)
        return name, place.relative_to(self.folder).as_posix(), code

    def tree(self, name: str) -> ast.Module:
        """Return the module as it is written."""
        return ast.parse(self.place(name).read_bytes())

    def place(self, name: str) -> Path:
        """Return the module's file."""
        base = self.folder.joinpath(*name.split(".")) if name else self.folder
        return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")

    def is_module(self, name: str) -> bool:
        """Whether that is a module, and not what one defines."""
        return self.place(name).is_file()


def main(folder: str, *modes: str) -> bool:
    """Compile everything; return whether all went well."""
    inside = Inside(Path(folder))
    start = folder + "/start.py"
    py_compile.compile(start, start + "c", doraise=True, invalidation_mode=UNCHECKED)
    for mode in modes:
        made = [inside.compiled(name) for name in inside.imported(mode)]
        (inside.folder / f"{mode}.made").write_bytes(marshal.dumps(made))
    return bool(compileall.compile_dir(folder, quiet=1, invalidation_mode=UNCHECKED))


def _is_of_the_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


if __name__ == "__main__":
    sys.exit(not main(*sys.argv[1:]))
