"""Makes the command line ready for one call: no more of it than the call needs.

Typer looks at every parameter of every command, and imports pydantic to convert what was given, and
even what was not; both take longer than most reports.
"""

from collections.abc import Callable, Sequence
from copy import copy
from enum import Enum
from pathlib import Path
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

__all__ = ["command_line", "group_name"]

_PLAIN: Final[dict[Any, Callable[[Any], Any]]] = {
    str: str,
    Path: Path,
    list[str]: list,
    list[Path]: lambda values: [Path(value) for value in values],
}
"""Types that need no checking, and how a value of the command line becomes one of them."""

_LARGEST: Final = 10**9
_MANY_DIGITS: Final = 9


def command_line(app: typer.Typer, argv: Sequence[str]) -> Any:
    """Return *app* as the command that runs *argv*.

    Where the first argument names a command, no other is made than those that *argv* names; for
    anything else, such as help or a name that is misspelt, all are.
    """
    line = get_command(_with_named(app, argv))
    _take_plainly(line)
    return line


def _with_named(app: typer.Typer, argv: Sequence[str]) -> typer.Typer:
    groups = [group for group in app.registered_groups if group_name(group) in argv]
    commands = [command for command in app.registered_commands if command.name in argv]
    if not argv or argv[0] not in {
        *map(group_name, groups),
        *(command.name for command in commands),
    }:
        return app
    named = copy(app)
    named.registered_groups, named.registered_commands = groups, commands
    return named


def group_name(group: Any) -> str | None:
    """Return by which name *group*, a group of commands registered with Typer, is called."""
    name = group.typer_instance.info.name
    return name if isinstance(name, str) else None


def _take_plainly(command: Any) -> None:
    """Let the parameters of *command*, and of all below it, be converted by Typer only where it must."""
    get_params = command.get_params
    prepared: dict[int, Any] = {}

    def prepare(context: Any) -> Any:
        parameters = get_params(context)
        for parameter in parameters:
            if id(parameter) not in prepared:
                prepared[id(parameter)] = parameter
                parameter.process_value = _processing(parameter)
        return parameters

    command.get_params = prepare
    if isinstance(command, TyperGroup):
        for each in command.commands.values():
            _take_plainly(each)


def _processing(parameter: Any) -> Callable[[Any, Any], Any]:
    process, callback = parameter.process_value, parameter.callback
    plain = _plain(getattr(parameter, "type_descriptor", None))

    def take(context: Any, value: Any) -> Any:
        if value is None and not parameter.required:
            return callback(context, parameter, None) if callback else None
        if plain is None or value is None or callback:
            return process(context, value)
        try:
            return plain(value)
        except ValueError:  # Typer has the words for what is wrong
            return _checked(process(context, value), context, parameter)

    return take


def _checked(value: Any, context: Any, parameter: Any) -> Any:
    """Refuse a number that is too large for all that is counted by it."""
    if isinstance(value, int) and value > _LARGEST:
        raise typer.BadParameter(f"larger than {_LARGEST:,}.", ctx=context, param=parameter)
    return value


def _plain(descriptor: Any) -> Callable[[Any], Any] | None:
    """Return what converts a value that is as it should be, and raises ValueError for others."""
    annotation = getattr(descriptor, "annotation", None)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return annotation
    if annotation is int:
        least = descriptor.parameter_info.min
        return lambda value: _number(value, 0 if least is None else least)
    return _PLAIN.get(annotation)


def _number(value: Any, least: int) -> int:
    if not isinstance(value, int) and (len(value) > _MANY_DIGITS or not value.isdecimal()):
        raise ValueError
    number = int(value)
    if number < least:
        raise ValueError
    return number
