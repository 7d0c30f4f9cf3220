"""The ways in which Halo refuses a request.

RefusalError            status + body, raised anywhere while a request is applied
├─ binding_error   400, {"<json path>": ["message"]}: the body does not fit the entity's types
├─ rule_error      400, a serialised .NET exception: most business rules
├─ missing_column  400, the same, for a field that the table needs
├─ text_error      400, a JSON string: a few business rules
└─ empty           401, 403, 404, 405, 415, 500: no body at all
"""

from dataclasses import dataclass
from typing import Any

import msgspec

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, before it meets the wire."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class RefusalError(Exception):
    """A request that Halo would not carry out; `answer` is what it says instead."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status, answer.body)
        self.answer = answer


def json_answer(status: int, value: Any) -> Answer:
    return Answer(status, msgspec.json.encode(value), JSON)


def empty(status: int) -> RefusalError:
    return RefusalError(Answer(status))


def binding_error(faults: dict[str, list[str]]) -> RefusalError:
    return RefusalError(json_answer(400, faults))


def text_error(message: str) -> RefusalError:
    return RefusalError(json_answer(400, message))


def rule_error(message: str) -> RefusalError:
    return RefusalError(
        json_answer(
            400,
            {
                "ClassName": "System.Exception",
                "Message": message,
                "Data": None,
                "InnerException": None,
                "HelpURL": None,
                "StackTraceString": None,
                "RemoteStackTraceString": None,
                "RemoteStackIndex": 0,
                "ExceptionMethod": None,
                "HResult": -2146233088,
                "Source": None,
                "WatsonBuckets": None,
            },
        )
    )


def missing_column(column: str, table: str) -> RefusalError:
    return rule_error(
        f"A database error occurred (515) - Cannot insert the value NULL into column '{column}', "
        f"table 'D_sandbox.dbo.{table}'; column does not allow nulls. INSERT fails.."
    )


def broken_reference(column: str, table: str) -> RefusalError:
    return rule_error(
        "A database error occurred (547) - The INSERT statement conflicted with a FOREIGN KEY constraint, "
        f"table 'D_sandbox.dbo.{table}', column '{column}'.."
    )
