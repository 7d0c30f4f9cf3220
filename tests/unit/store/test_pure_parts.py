"""The parts of the store that need no database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.store.catalogue_rows import merged, newest_of_each, record_columns, text_key
from hub.store.errors import passes
from hub.store.pending import _seq, _text
from hub.store.targets import target_of
from schemas.halo_events import HaloClient, HaloUser
from schemas.targets import Target, kind_in

parts = st.text(alphabet="a/%25F2ä ", min_size=1, max_size=8)
seqs = st.lists(st.integers(min_value=-1, max_value=2**63 - 1), max_size=4).map(tuple)


@given(parts, parts, parts, st.one_of(st.just(""), parts))
def test_a_targets_key_names_it_alone(instance: str, source: str, id_: str, scope: str) -> None:
    target = Target(tenant="acme", instance=instance, source=source, kind="site", id=id_, scope=scope)
    assert target_of(target.key) == target
    assert kind_in(target.key) == "site"


@pytest.mark.parametrize(
    "key", ["", "a/b", "acme/h/s/client/1//", "acme/h/s/planet/1/", "ACME/h/s/client/1/"]
)
def test_a_text_that_is_no_targets_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        target_of(key)
    assert kind_in(key) in ("", "client", "planet"), "also that of a kind which only another release knows"


@given(seqs)
def test_a_seq_kept_as_text_is_the_same_seq(seq: tuple[int, ...]) -> None:
    assert _seq(_text(seq)) == seq


def test_names_compare_trimmed_and_case_folded() -> None:
    assert text_key(" Straße\n") == text_key("STRASSE") != text_key("Strase")


def test_a_seen_record_takes_what_fits_and_keeps_the_rest() -> None:
    known = {"name": "Acme", "main_site_id": 3, "customertype": 1, "deleted": True, "read_id": "r"}
    seen = {"id": 7, "main_site_id": "", "customertype": 2, "inactive": None, "colour": "red", "read_id": "x"}
    assert merged("client", known, seen) == HaloClient(id=7, name="Acme", main_site_id=3, customertype=2)


def test_of_several_events_of_a_record_the_newest_state_and_the_last_read_remain() -> None:
    rows = [
        record_columns(HaloUser(id=1, name="b", emailaddress="B@x"), 2.0),
        record_columns(HaloUser(id=1, name="a", read_id="r"), 1.0),
        record_columns(HaloUser(id=2, name="c"), 1.0),
    ]
    one, two = sorted(newest_of_each(rows), key=lambda row: row["halo_id"])
    assert (one["name"], one["email_key"], one["read_id"], one["read_at"]) == ("b", "b@x", "r", 1.0)
    assert (two["name"], two["read_id"]) == ("c", None)


class FromDriver(Exception):
    def __init__(self, text: str = "", sqlstate: str | None = None) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


@pytest.mark.parametrize("state", ["08006", "40001", "40P01", "53300", "57014", "57P01", "55P03"])
def test_what_time_may_heal_passes(state: str) -> None:
    assert passes(FromDriver(sqlstate=state), is_disconnect=False)


@pytest.mark.parametrize("text", ["database is locked", "unable to open database file", "disk I/O error"])
def test_a_busy_or_missing_file_passes(text: str) -> None:
    assert passes(FromDriver(text), is_disconnect=False)


@pytest.mark.parametrize(
    "error", [FromDriver(sqlstate="23505"), FromDriver("no such table: lease"), KeyError("x")]
)
def test_a_mistake_does_not_pass(error: Exception) -> None:
    assert not passes(error, is_disconnect=False)
    assert passes(FromDriver("connection closed"), is_disconnect=True)
