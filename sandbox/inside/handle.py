"""The Handle: the object that package code is given as `job` or `context`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    Report = Callable[[dict[str, Any]], None]
    Judge = Callable[[dict[str, Any]], None]


_LEVELS = ("debug", "info", "warning", "error")
_MOST_PROGRESS = 2**53
"""Beyond it a float no longer counts by one."""


_NO_FALLBACK: Any = object()
"""None is an answer too."""


class Asked(BaseException):
    """Ends the run with a question; the answer starts it anew."""

    def __init__(self, question: dict[str, Any]) -> None:
        super().__init__(question["key"])
        self.question = question


class Log:
    """Log lines with a level: `log("text")` is `log.info("text")`."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def __call__(self, message: object, *values: object, level: str = "info") -> None:
        """Report `message`, with `values` for its % signs; or with a level, as its one value.

        Levels are debug, info, warning and error. As logging.Logger, it takes a mapping as the
        only value, and formats nothing where there are no values.
        """
        if len(values) == 1 and (values[0] in _LEVELS or "%" not in str(message)):
            level, values = str(values[0]), ()
        if level not in _LEVELS:
            raise ValueError("a level is one of %s, not %r" % (", ".join(_LEVELS), level))
        self._report({"kind": "log", "level": level, "message": _formatted(message, values)})

    def debug(self, message: object, *values: object) -> None:
        """Report `message` for whoever looks closely."""
        self(_formatted(message, values), level="debug")

    def info(self, message: object, *values: object) -> None:
        """Report `message` as ordinary news."""
        self(_formatted(message, values), level="info")

    def warning(self, message: object, *values: object) -> None:
        """Report `message` as something to look at."""
        self(_formatted(message, values), level="warning")

    warn = warning

    def error(self, message: object, *values: object) -> None:
        """Report `message` as something that went wrong."""
        self(_formatted(message, values), level="error")

    critical = error

    def exception(self, message: object, *values: object) -> None:
        """Report `message` as an error, with the traceback of the exception at hand."""
        text = _formatted(message, values)
        self.error("%s\n%s", text, __import__("traceback").format_exc().rstrip())


def _formatted(message: object, values: tuple[object, ...]) -> str:
    """Return the text of a log line, as logging makes it (LogRecord.getMessage)."""
    text = str(message)
    if not values:
        return text
    is_mapping = len(values) == 1 and isinstance(values[0], dict)
    return text % (values[0] if is_mapping else values)


class Handle:
    """Facts as attributes, and the few things that a run can do to the outside.

    `inputs` are paths to read, `output_dir` is where to leave files that are kept,
    `scratch_dir` is thrown away with the cell. A folder of the Command that is not on the path is
    an attribute, such as `data`.
    """

    def __init__(self, request: dict[str, Any], report: Report, judge: Judge) -> None:
        for name, value in request["facts"].items():
            setattr(self, name, value)
        self.log = Log(report)
        self._inputs = request["inputs"]
        self._output_dir = request["output_dir"]
        self._scratch_dir = request["scratch_dir"]
        self._report = report
        self._judge = judge
        self._answers = request["answers"]
        self._secrets = request["secrets"]
        self._folders = request.get("folders", {})

    def __getattr__(self, name: str) -> Path:
        """Return the path of the folder of that name: made when it is asked for (pathlib)."""
        if name.startswith("_") or name not in self._folders:
            raise AttributeError("%s has no attribute %r" % (type(self).__name__, name))
        return _path(self._folders[name])

    @property
    def inputs(self) -> list[Path]:
        """The input files."""
        return [_path(path) for path in self._inputs]

    @property
    def output_dir(self) -> Path:
        """The folder whose files are kept."""
        return _path(self._output_dir)

    @property
    def scratch_dir(self) -> Path:
        """A folder that is thrown away."""
        return _path(self._scratch_dir)

    def progress(self, done: float, total: float | None = None, message: object = "") -> None:
        """Report progress: `done` of `total` (any unit, at most 2**53), and what is being done."""
        told = {"done": _number(done), "total": None if total is None else _number(total)}
        self._report({"kind": "progress", "message": str(message), **told})

    def event(self, name: str, /, **data: Any) -> None:
        """Report an event of the package's own; `data` must be JSON."""
        self._report({"kind": "event", "name": str(name), "data": data})

    def ask(
        self,
        key: str,
        prompt: str,
        schema: dict[str, Any] | None = None,
        *,
        within_s: float | None = None,
        fallback: Any = _NO_FALLBACK,
    ) -> Any:
        """Return the answer to `key`; without one, end the run here and wait for it.

        After `within_s` seconds `fallback` is the answer; without that the job fails.
        """
        if key in self._answers:
            return self._answers[key]
        if schema is not None and not isinstance(schema, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError("a schema is an object (JSON Schema), not %r" % (schema,))
        question: dict[str, Any] = {"key": str(key), "prompt": str(prompt), "schema": schema or {}}
        if within_s is not None:
            question["within_s"] = _number(within_s)
        if fallback is not _NO_FALLBACK:
            question["fallback"] = fallback
        self._judge(question)
        raise Asked(question)

    def secret(self, name: str) -> str:
        """Return the secret `name`; LookupError if the manifest does not ask for it."""
        if name not in self._secrets:
            raise LookupError(
                "secret %r was not granted: the manifest has to name it, and an admin to set it"
                % (name,)
            )
        return self._secrets[name]


def _number(value: float) -> float:
    """Return `value` as it may be told; ValueError or TypeError otherwise."""
    if not isinstance(value, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("a number is wanted here, not %.100r" % (value,))
    if not -_MOST_PROGRESS <= value <= _MOST_PROGRESS:  # NaN neither
        raise ValueError("a number from -2**53 to 2**53 is wanted here")
    return int(value) if isinstance(value, bool) else value


def _path(text: str) -> Path:
    """Return `text` as a Path; pathlib is imported by those who use one (5 ms)."""
    return __import__("pathlib").Path(text)
