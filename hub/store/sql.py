"""The few places where PostgreSQL and SQLite are spoken to differently.

Values that are structured travel as JSON text, and a batch of any size is one statement with one parameter: JSON
rows that the database unfolds itself. So a batch of 500 is one round trip, and each size shares one plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Double, Select, Table, Text, cast, column, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import FromClause
from sqlalchemy.types import TypeEngine

Insert = postgresql.Insert | sqlite.Insert
Types = Mapping[str, TypeEngine[Any]]

_ENCODER = msgspec.json.Encoder()


class store_now(FunctionElement[float]):  # noqa: N801 - reads as the SQL function that it is
    """The database's own clock at the moment of the statement: seconds since the epoch."""

    type = Double()
    inherit_cache = True


@compiles(store_now, "postgresql")
def _now_postgresql(element: store_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"


@compiles(store_now, "sqlite")
def _now_sqlite(element: store_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


def insert_into(dialect: str, table: Table) -> Insert:
    """An INSERT that knows ON CONFLICT and RETURNING."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def json_rows(
    conn: AsyncConnection, name: str, rows: Sequence[Mapping[str, Any]], types: Types
) -> FromClause:
    """`rows` as a table expression called `name` with a column for each of `types`; absent values are NULL."""
    return unfolded(conn.dialect.name, literal(to_json(rows), Text), name, types)


def unfolded(dialect: str, text: ColumnElement[str], name: str, types: Types) -> FromClause:
    """As `json_rows`, of a parameter that holds the JSON of the rows."""
    if dialect == "postgresql":
        columns = [column(key, kind) for key, kind in types.items()]
        rows = func.json_to_recordset(cast(text, postgresql.JSON)).table_valued(*columns, name=name)
        return rows.render_derived(with_types=True)
    each = func.json_each(text).table_valued("value", name=f"{name}_json")
    fields = [
        func.json_extract(each.c.value, f"$.{key}", type_=kind).label(key) for key, kind in types.items()
    ]
    return select(*fields).select_from(each).subquery(name)


def is_one_of(conn: AsyncConnection, col: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """`col IN values`, as one parameter whatever the number of values."""
    rows = json_rows(conn, "wanted", [{"v": value} for value in values], {"v": col.type})
    chosen: Select[Any] = select(rows.c.v)
    return col.in_(chosen)


def to_json(value: Any) -> str:
    return _ENCODER.encode(value).decode()


def storable(text: str) -> str:
    """The text without U+0000, which PostgreSQL can't hold; for texts that nothing is identified by."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
