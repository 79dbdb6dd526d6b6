"""A property whose value is made once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class lazy(Generic[T]):  # noqa: N801 - it is used as a decorator, like property
    """``functools.cached_property`` without its lock.

    Python 3.11 holds one for all instances while a value is made (github.com/python/cpython/issues/87634): two threads
    that verify chains with certificates in common would wait for each other for ever. Here both make the value, which
    is the same.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> lazy[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> lazy[T] | T:
        """The value; from then on it is found in the instance, and this is not asked again."""
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._make(instance)
        return value
