"""What a transcript says of requests beside their responses: sent, failed, refused, cut.

A request that was answered in the same extent is counted and let go; what is kept is what was not, and
what may say why.
"""

from bisect import bisect_right
from typing import NamedTuple

from tokenaudit.model.terms import RequestEvent
from tokenaudit.rules.time import micros
from tokenaudit.transcripts.wire import Assistant, RequestLine

__all__ = ["RequestLog", "RequestMark", "reply_of"]


class RequestMark(NamedTuple):
    """What one line says of a request; see `RequestEvent`."""

    line: int
    time: int | None
    """Microseconds since 1970 in UTC."""
    event: RequestEvent
    id: str | None = None
    """Of the request: the one that was sent last before, where the line does not name it."""
    model: str | None = None
    detail: str | None = None
    reply: str | None = None
    """Of a cut: the response that stands before, as `reply_of` calls it; None where none does in the extent."""


def reply_of(line: Assistant) -> str | None:
    """Return what all lines of a response have in common: both ids, or else the uuid of a lone line."""
    message_id, request_id = line.message.id, line.request_id
    return f"{message_id} {request_id}" if message_id and request_id else line.uuid


class RequestLog:
    """Takes in the lines of an extent, in their order."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.count = 0
        """Lines that say that a request was sent."""
        self.last: Assistant | None = None
        """The last line of a response."""
        self._sent: dict[str | None, RequestMark] = {}
        self._answered: dict[str, RequestMark] = {}
        self._events: list[RequestMark] = []

    def add(self, line: RequestLine, number: int) -> None:
        """Take in a *line* about a request."""
        time = micros(line.timestamp)
        if line.type == "api-request":
            self.count += 1
            model = line.params.model if line.params else None
            self._sent[line.id] = RequestMark(number, time, RequestEvent.SENT, line.id, model)
        elif line.type == "user" and line.is_meta and line.is_cut:
            self._cut(number, time, None)
        elif line.type == "user" and line.refused_message_id:
            self._events.append(RequestMark(number, time, RequestEvent.REFUSED))
        elif line.type == "system" and line.subtype == "api_error":
            self._events.append(_failure(line, number, time))
        elif line.type == "system" and line.subtype == "model_fallback":
            model, detail = line.original_model, line.trigger
            mark = RequestMark(number, time, RequestEvent.FALLBACK, model=model, detail=detail)
            self._events.append(mark)

    def answer(self, line: Assistant, number: int) -> None:
        """Take in that *line*, of a response, names its request."""
        request = line.request_ref
        if request is not None and request not in self._answered:
            time = micros(line.timestamp)
            self._answered[request] = RequestMark(number, time, RequestEvent.ANSWERED, request)

    def synthetic(self, line: Assistant, number: int) -> None:
        """Take in a *line* that Claude Code wrote in the place of a response."""
        time = micros(line.timestamp)
        if cause := line.stream_cut_cause:
            self._cut(number, time, cause)
        if line.refused_message_id:
            self._events.append(RequestMark(number, time, RequestEvent.REFUSED))

    def _cut(self, number: int, time: int | None, cause: str | None) -> None:
        reply = reply_of(self.last) if self.last is not None else None
        mark = RequestMark(number, time, RequestEvent.CUT, detail=cause, reply=reply)
        self._events.append(mark)

    def marks(self) -> list[RequestMark]:
        """Return what is to be kept, in the order of the lines."""
        # By their times: the lines of a request may overtake what is said of the one before.
        sent = sorted(self._sent.values(), key=_when)
        times = [_when(mark) for mark in sent]
        events = []
        for mark in self._events:
            at = bisect_right(times, _when(mark))
            events.append(mark._replace(id=sent[at - 1].id) if at else mark)
        alone = [mark for mark in sent if mark.id not in self._answered]
        answered = [mark for id_, mark in self._answered.items() if id_ not in self._sent]
        return sorted([*alone, *answered, *events], key=lambda mark: mark.line)


def _when(mark: RequestMark) -> tuple[int, int]:
    return mark.time or 0, mark.line


def _failure(line: RequestLine, number: int, time: int | None) -> RequestMark:
    """Return what a line says of a request that failed: the status of the answer, else of the connection."""
    error = line.error
    if error is not None and error.status is not None:
        return RequestMark(number, time, RequestEvent.FAILED, detail=str(error.status))
    code = error.connection.code if error is not None and error.connection else None
    return RequestMark(number, time, RequestEvent.DROPPED, detail=code)
