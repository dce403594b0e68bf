"""Where a pandapower net comes from: a function that makes it, or a JSON file that holds it."""

from __future__ import annotations

import copy
import importlib
from pathlib import Path
from typing import Any

from abm.errors import InputError, Problem, nearest

_FIELD = "feeder.net"


def load_net(source: str) -> Any:
    """Pandapower net of "module:function" or of the path of a pandapower JSON file.

    The net is the caller's own. Raises InputError (field "feeder.net") when there is no such
    module, function or file, or when it does not give a pandapower net.
    """
    is_file = source.lower().endswith(".json") or ":" not in source
    net = _from_file(source) if is_file else _from_function(source)
    from pandapower import pandapowerNet

    if not isinstance(net, pandapowerNet):
        raise _wrong(source, f"has to give a pandapower net, not {type(net).__name__}")
    if len(net.bus) == 0:
        raise _wrong(source, "the net has no buses")
    return net


def _from_function(source: str) -> Any:
    module_name, _, function_name = source.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError) as error:
        raise _wrong(source, f"module {module_name!r} cannot be imported: {error}") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        near = nearest(function_name, [name for name in dir(module) if not name.startswith("_")])
        raise _wrong(source, f"module {module_name} has no function {function_name!r}", near)
    try:
        # A user's function may hand out the same net each time; we write ampacities into ours.
        return copy.deepcopy(function())
    except Exception as error:
        raise _wrong(source, f"{function_name}() failed: {error!r}") from error


def _from_file(source: str) -> Any:
    if not Path(source).is_file():
        raise _wrong(source, "a pandapower JSON file, or module:function; there is no such file")
    import pandapower as pp

    try:
        return pp.from_json(source)
    except Exception as error:  # from_json lets through whatever its parsers raise
        raise _wrong(source, f"not a pandapower JSON file: {error!r}") from error


def _wrong(source: str, allowed: str, hint: str = "") -> InputError:
    return InputError([Problem(_FIELD, source, allowed, hint=hint)])
