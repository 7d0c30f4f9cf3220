"""Halo's own words come out of every shape of error body, and known ones carry their fix."""

from typing import Any

import pytest

from halo import error_text, known_fix
from halo.messages import MAX_TEXT_CHARS

NULL_COLUMN = (
    "A database error occurred (515) - Cannot insert the value NULL into column 'FXsupplier', "
    "table 'D_acme.dbo.ITEM'; column does not allow nulls. INSERT fails.."
)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"[0].outcome_id": ["Could not convert string to integer: abc."]},
            "[0].outcome_id: Could not convert string to integer: abc.",
        ),
        (
            {"id": ["The value 'x' is not valid."], "b": ["c", "d"]},
            "id: The value 'x' is not valid.; b: c; d",
        ),
        (
            {
                "ClassName": "System.Exception",
                "Message": "Password is mandatory",
                "InnerException": None,
                "HResult": -2146233088,
            },
            "Password is mandatory",
        ),
        (
            "These records cannot be edited. Only new records can be added",
            "These records cannot be edited. Only new records can be added",
        ),
        ({"resultCode": 7, "errorMessage": "No such thing"}, "No such thing (result code 7)"),
        ({"errorMessage": "No such thing"}, "No such thing"),
        ({"Message": "An error has occurred."}, "An error has occurred."),
        ({"error": "invalid_scope"}, "invalid_scope"),
        (
            {"error": "invalid_client", "error_description": "The client is unknown."},
            "invalid_client: The client is unknown.",
        ),
        (
            "<html><head><title>504</title></head><body><h1>504 Gateway\n Time-out</h1></body></html>",
            "504 Gateway Time-out",
        ),
        (["first", {"Message": "second"}], "first; second"),
        ({"Message": None, "detail": {"code": 3}}, "detail: code: 3"),
        (None, ""),
        ({}, ""),
        ([], ""),
        ("", ""),
        (42, "42"),
    ],
)
def test_the_text_of_each_shape(body: Any, text: str) -> None:
    assert error_text(body) == text


def test_a_text_is_one_line_of_bounded_length() -> None:
    text = error_text({"Message": "a\r\n b\t" + "x" * 5000})
    assert text.startswith("a b x")
    assert len(text) == MAX_TEXT_CHARS
    assert text.endswith("…")


@pytest.mark.parametrize("text", ["Please populate main contact name", "Main contact details are required"])
def test_a_compulsory_main_contact_names_the_setting(text: str) -> None:
    fix = known_fix(text)
    assert fix is not None
    assert 'Configuration > Users > General Settings, "Make main contact details compulsory"' in fix


@pytest.mark.feature("gotcha.appointments", part="writer")
@pytest.mark.parametrize(
    "text",
    [
        "The Agent has ongoing Appointments. Are you sure you want to assign this Ticket?",
        "Alex Morgan has an appointment that clashes with this assignment",
    ],
)
def test_the_appointment_check_names_the_setting(text: str) -> None:
    fix = known_fix(text) or ""
    assert "check for ongoing Appointments" in fix
    assert "Configuration > Tickets > General Settings" in fix


@pytest.mark.feature("gotcha.required_fields", part="writer")
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Please complete the following mandatory fields: Budget, Target Date", "(Budget, Target Date)"),
        ("Required field: Region of Sale.", "(Region of Sale)"),
    ],
)
def test_mandatory_fields_are_named_with_their_list(text: str, names: str) -> None:
    fix = known_fix(text) or ""
    assert names in fix
    assert "Field List" in fix


@pytest.mark.feature("gotcha.required_fields", part="writer")
@pytest.mark.parametrize(
    "text",
    [
        "Please complete the following mandatory fields: Target Date",
        "Target Date is mandatory",
        "Please enter a Target Date",
        "A target date must be given",
    ],
)
def test_a_required_target_date_has_a_fix_of_its_own(text: str) -> None:
    assert "Field List > Target Date" in (known_fix(text) or "")


def test_a_null_that_the_table_refuses_names_the_field() -> None:
    assert "FXsupplier" in (known_fix(NULL_COLUMN) or "")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("A database error occurred (515) - something else", "not sent"),
        ("[0].x: Could not convert string to integer: abc. Path '[0].x'", "wrong type"),
        ("id: The value 'probe' is not valid.", "wrong type"),
        ("Invalid advanced search parameter: foo", "match key"),
        ("An Outcome must be entered for this Action", "outcome"),
        ("You don't have access to this Action", "role"),
        ("Please select a Start Step for this Workflow.", "workflow"),
        ("Priority Description must not be blank", "send a value"),
        ("Parameter client_id must be included", "send a value"),
        ("These records cannot be edited. Only new records can be added", "by hand"),
    ],
)
def test_each_known_text_has_a_fix(text: str, word: str) -> None:
    assert word in (known_fix(text) or "")


def test_an_unknown_text_has_none() -> None:
    assert known_fix("Something new") is None
    assert known_fix("") is None
