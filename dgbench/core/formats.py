"""Records that travel: what they hold is a model, and which version of it a number in the record says.

A record is JSON whose field ``schema`` is the name of its format with a whole number, ``dgbench.submission/1``. The
number is raised whenever the fields change. For each number there was, a migration makes the record of the next, so old
records stay readable; tests keep a record of every number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from dgbench.core.errors import RecordError, shown
from dgbench.core.toml import validated

Model = TypeVar("Model", bound=BaseModel)
Content = dict[str, Any]
Migration = Callable[[Content], Content]
"""Makes the fields of the next number from those of one, without the field ``schema``."""

_SCHEMA = re.compile(r"([a-z.]{1,40})/([0-9]{1,4})")


@dataclass(frozen=True)
class Format(Generic[Model]):
    """A kind of record.

    Attributes:
        name: As ``dgbench.submission``.
        model: What a record of today holds, without the field ``schema``.
        migrations: The first makes number ``oldest + 1`` from ``oldest``, and so on up to today's.
        oldest: The first number that is still read.
        unmarked: Whether records of the oldest number lack the field ``schema``.
    """

    name: str
    model: type[Model]
    migrations: tuple[Migration, ...] = ()
    oldest: int = 1
    unmarked: bool = False

    @property
    def number(self) -> int:
        """Of today's records."""
        return self.oldest + len(self.migrations)

    @property
    def schema(self) -> str:
        """What stands in today's records."""
        return f"{self.name}/{self.number}"

    def dump(self, record: Model) -> Content:
        """A record as plain JSON."""
        return {"schema": self.schema, **record.model_dump(mode="json")}

    def read(self, content: Any, where: str) -> Model:
        """A record of any number that is still read.

        Raises:
            RecordError: it is no such record, or one of a later dgbench.
            CardError: a field does not fit, or there is one that the model has not.
        """
        if not isinstance(content, Mapping):
            raise RecordError(f"{where}: expected a record '{self.schema}', got {shown(content)}")
        fields = dict(content)
        number = self._number(fields.pop("schema", None), where)
        for migrate in self.migrations[number - self.oldest :]:
            try:
                fields = migrate(fields)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise RecordError(f"{where}: is no record '{self.name}/{number}' ({shown(str(error))})") from error
        return validated(fields, self.model, where)

    def _number(self, schema: object, where: str) -> int:
        if schema is None and self.unmarked:
            return self.oldest
        found = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
        if found is None or found[1] != self.name:
            raise RecordError(f"{where}: schema: expected '{self.schema}', got {shown(schema)}")
        number = int(found[2])
        if not self.oldest <= number <= self.number:
            age = "a later" if number > self.number else "too old a"
            raise RecordError(f"{where}: is by {age} version of dgbench ({schema}; this one reads {self.schema})")
        return number

    def json_schema(self) -> Content:
        """The JSON Schema of today's records."""
        described = self.model.model_json_schema(mode="validation")
        described["properties"] = {"schema": {"const": self.schema}} | described["properties"]
        described["required"] = ["schema", *described.get("required", ())]
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": self.schema, **described}
