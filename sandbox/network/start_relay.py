"""First code of a relay: `python -I -S -B start_relay.py FD`, the standard library only."""

import sys
from pathlib import Path


def main() -> None:
    """Put the rooms behind the standard library, and serve what FD orders."""
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    from sandbox.network import process  # noqa: PLC0415 – the path is only now as it should be

    process.main(int(sys.argv[1]))


if __name__ == "__main__":
    main()
