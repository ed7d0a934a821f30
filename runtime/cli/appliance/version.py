"""`fumehood version`: which version this is."""

from importlib.metadata import version as distribution_version

from runtime.cli.output.printing import AsJson, emit


def version(*, as_json: AsJson = False) -> None:
    """Print the version."""
    emit(
        {"version": distribution_version("fumehood")},
        as_json=as_json,
        show=lambda value: value["version"],
    )
