"""Runs the command line: the one place where errors become exit codes.

0 done; 1 done, with findings; 2 could not do it; 130 interrupted; 141 the reader of a pipe is gone.
"""

import errno
import gc
import os
import sys

from tokenaudit import __version__

TYPE_CHECKING = False  # typing's own takes a quarter of the time that the status line has
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "run"]

_VERSION = (["--version"], ["-V"])
"""Answered without the command line, which takes ten times as long to import."""

_MEMORY = ("_RJEM_MALLOC_CONF", "dirty_decay_ms:20,muzzy_decay_ms:0")
"""What Polars' allocator is told, unless the user tells it something: to give back soon what frames leave.

Its own half a second is the whole run, and a third more memory. A roll-up is the exception: it needs
for the next day what the last one left.
"""

_OF_STREAMS = frozenset(
    {errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EINVAL, errno.EIO, errno.ENOSPC, errno.ENXIO}
)
"""What a write to an output may fail with that is not a file of a name, but the shell's."""

_FOR_THE_COMMAND_LINE = frozenset({"-h", "--help", "--install", "--write"})


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run tokenaudit with *argv*, the arguments without the program's name; return the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        code = _short_cut(words)
        code = _command_line(words) if code is None else code
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
        return 141
    except OSError as error:
        return _failed_call(error)
    except MemoryError:
        return _fail("memory is short", None, 2)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of libraries in Rust; no Exception
            raise
        said = str(error).partition("\n")[0]
        return _fail(f"a library cannot go on: {said}", "Is there room for threads and files?", 2)
    return code


def _failed_call(error: OSError) -> int:
    """Say what the system has refused; what has no name is an output, if it can be."""
    from tokenaudit.render.target import reason_of

    if error.filename is not None or error.errno not in _OF_STREAMS:
        return _fail(f"{error.filename or 'the system'}: {reason_of(error)}", None, 2)
    _forget_stdout()
    return _fail(f"standard output: cannot be written: {reason_of(error)}", None, 2)


def _short_cut(words: list[str]) -> int | None:
    """Answer what needs no command line; None where it does."""
    if words in _VERSION:
        sys.stdout.write(f"tokenaudit {__version__}\n")
        return 0
    if words[:1] == ["statusline"] and not _FOR_THE_COMMAND_LINE.intersection(words):
        from tokenaudit import statusline

        return statusline.main(words[1:])
    return None


def _command_line(words: list[str]) -> int:
    if words[:1] != ["rollup"]:
        os.environ.setdefault(*_MEMORY)
    import typer

    from tokenaudit.cli import app
    from tokenaudit.cli.start import command_line
    from tokenaudit.model.errors import TokenauditError

    try:
        code = command_line(app, words).main(
            args=words, prog_name="tokenaudit", standalone_mode=False
        )
    except TokenauditError as error:
        return _fail(str(error), error.hint, error.exit_code)
    except typer.TyperException as error:
        return _fail(error.format_message(), None, 2)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("tokenaudit: interrupted\n")
        return 130
    except SystemExit as end:
        # Typer takes a closed pipe for a failure, and leaves with the code of findings.
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None
        raise
    return code if isinstance(code, int) else 0


def _fail(message: str, hint: str | None, code: int) -> int:
    from tokenaudit.render.clean import visible

    lines = [f"tokenaudit: error: {visible(message)}", *([f"  {visible(hint)}"] if hint else [])]
    try:
        sys.stderr.write("\n".join(lines) + "\n")
    except OSError:  # nobody is told, but the exit code tells
        return code
    return code


def _forget_stdout() -> None:
    """Keep the interpreter from complaining, at its end, about what could not be written."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def run() -> None:
    """Run the command line and leave with its exit code; what the installed command calls."""
    gc.disable()  # one run makes hardly any cycles, and looking for them takes a twentieth of it
    _open_streams()
    _leave(_main())


def _main() -> int:
    """Run the command line: in a process of its own, where what a user wrote may end it."""
    words = sys.argv[1:]
    if words[:1] not in (["query"], ["check"]):
        return main()
    from tokenaudit.cli.supervisor import needs_supervision, supervised

    return supervised(words[0], main) if needs_supervision(words) else main()


def _open_streams() -> None:
    """Let no file that is opened later become a standard stream that was closed.

    What is written to such an output fails as on a full disk; what is said on stderr is lost.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _leave(code: int) -> None:
    """End the process with *code*: all is written, and to take the interpreter down costs a fifth of a run."""
    if sys.argv[1:2] != ["statusline"]:
        import atexit

        atexit._run_exitfuncs()  # noqa: SLF001 - there is no other way to have them run
    try:
        sys.stderr.flush()
    except OSError:  # nobody is told, but the exit code tells
        os._exit(code)
    os._exit(code)


if __name__ == "__main__":
    run()
