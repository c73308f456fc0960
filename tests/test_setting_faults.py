"""What is wrong with a value, in plain words."""

import math
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, ValidationError, field_validator

from config.faults import described, located

SECRET = "hunter2-do-not-repeat"


class Form(BaseModel):
    """A value of each kind that settings, files and requests have."""

    model_config = ConfigDict(extra="forbid")

    whole: int = Field(1, ge=1, le=9)
    share: float = Field(0.5, gt=0, lt=1, allow_inf_nan=False)
    kind: Literal["auto", "sql"] = "auto"
    name: Annotated[str, Field(pattern="^[a-z]+$", min_length=2, max_length=4)] = "ab"
    tags: Annotated[list[str], Field(min_length=1, max_length=2)] = ["a"]
    is_on: bool = True
    network: IPvAnyNetwork | None = None
    by_name: dict[str, int] = {}
    even: int = 2

    @field_validator("even")
    @classmethod
    def _even(cls, number: int) -> int:
        if number % 2:
            raise ValueError("must be even")
        return number


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"whole": SECRET}, "whole: must be a whole number"),
        ({"whole": 1.5}, "whole: must be a whole number"),
        ({"whole": [1]}, "whole: must be a whole number"),
        ({"whole": 0}, "whole: must be at least 1"),
        ({"whole": 10}, "whole: must be at most 9"),
        ({"share": SECRET}, "share: must be a number"),
        ({"share": 0}, "share: must be more than 0"),
        ({"share": 1}, "share: must be less than 1"),
        ({"share": math.nan}, "share: must be a finite number"),
        ({"kind": SECRET}, "kind: must be 'auto' or 'sql'"),
        ({"name": 7}, "name: must be text"),
        ({"name": "a"}, "name: must have at least 2 characters"),
        ({"name": SECRET}, "name: must have at most 4 characters"),
        ({"name": "A{}"}, "name: must match ^[a-z]+$"),
        ({"tags": SECRET}, "tags: must be a list"),
        ({"tags": []}, "tags: must have at least 1 entries"),
        ({"tags": ["a", "b", "c"]}, "tags: must have at most 2 entries"),
        ({"tags": [7]}, "tags.0: must be text"),
        ({"is_on": SECRET}, "is_on: must be true or false"),
        ({"network": SECRET}, "network: must be an IP address or a network, such as 10.0.0.0/8"),
        ({"by_name": SECRET}, "by_name: must be a mapping of names to values"),
        ({"by_name": {"a": SECRET}}, "by_name.a: must be a whole number"),
        ({"even": 3}, "even: must be even"),
        ({"more": SECRET}, "more: is not known here"),
        ([SECRET], "all of it: must be a mapping of names to values"),
    ],
)
def test_each_fault_names_its_place_and_what_must_be(given: Any, text: str) -> None:
    """In the words of a person, and without the value, which may be a password."""
    with pytest.raises(ValidationError) as caught:
        Form.model_validate(given)
    [fault] = caught.value.errors(include_url=False)
    assert located(fault) == text


def test_a_fault_of_an_unlisted_kind_keeps_its_words() -> None:
    """Another version of pydantic may know other kinds: they are told too."""

    class Sliced(BaseModel):
        part: slice

        model_config = ConfigDict(arbitrary_types_allowed=True)

    with pytest.raises(ValidationError) as caught:
        Sliced.model_validate({"part": 7})
    [fault] = caught.value.errors()
    assert described(fault) == "Input should be an instance of slice"
