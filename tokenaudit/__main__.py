"""Runs the command line: the one place where errors become exit codes.

0 done; 1 done, with findings; 2 could not do it; 130 interrupted; 141 the reader of a pipe is gone.
"""

import gc
import os
import sys
from collections.abc import Sequence

from tokenaudit import __version__
from tokenaudit.errors import TokenauditError

__all__ = ["main", "run"]

_VERSION = (["--version"], ["-V"])
"""Answered without the command line, which takes ten times as long to import."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run tokenaudit with *argv*, the arguments without the program's name; return the exit code."""
    args = sys.argv[1:] if argv is None else list(argv)
    if args in _VERSION:
        sys.stdout.write(f"tokenaudit {__version__}\n")
        return 0
    import typer

    from tokenaudit.cli import app
    from tokenaudit.cli.start import command_line

    try:
        code = command_line(app, args).main(
            args=args, prog_name="tokenaudit", standalone_mode=False
        )
    except TokenauditError as error:
        return _fail(str(error), error.hint, error.exit_code)
    except typer.TyperException as error:
        return _fail(error.format_message(), None, 2)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("tokenaudit: interrupted\n")
        return 130
    except BrokenPipeError:
        _forget_stdout()
        return 141
    return code if isinstance(code, int) else 0


def _fail(message: str, hint: str | None, code: int) -> int:
    from tokenaudit.render.clean import visible

    sys.stderr.write(f"tokenaudit: error: {visible(message)}\n")
    if hint:
        sys.stderr.write(f"  {visible(hint)}\n")
    return code


def _forget_stdout() -> None:
    """Keep the interpreter from complaining, at its end, about a pipe that is closed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)


def run() -> None:
    """Run the command line and leave with its exit code; what the installed command calls."""
    gc.disable()  # one run makes hardly any cycles, and looking for them takes a twentieth of it
    sys.exit(main())


if __name__ == "__main__":
    run()
