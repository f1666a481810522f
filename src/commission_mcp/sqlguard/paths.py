"""Paths into documents that take time by the product of what they meet: jsonpath and XPath.

A jsonpath compares all that its left side finds with all that its right side finds within one call, and a filter
within a filter of XPath looks at every element for every element. Neither can be interrupted.
"""

from __future__ import annotations

import re

_XPATH_MAX = 200
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"')
_CROSS = re.compile(r"(?:[=<>]|starts\s+with)\s*[-+(\s]*(?:@|\$(?![A-Za-z_]))")
_CROSS_VARIABLE = re.compile(r"(?:[=<>]|starts\s+with)\s*[-+(\s]*\$[A-Za-z_]")


def compares_two_paths(jsonpath: str, *, small_variables: bool) -> bool:
    """Whether a jsonpath may compare many values of a document with many others."""
    code = _QUOTED.sub('""', jsonpath)
    return bool(_CROSS.search(code)) or (not small_variables and bool(_CROSS_VARIABLE.search(code)))


def is_simple_xpath(xpath: str) -> bool:
    """Whether an XPath is short and has no filter within a filter."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]]", xpath):
        depth += 1 if bracket == "[" else -1
        deepest = max(deepest, depth)
    return len(xpath) <= _XPATH_MAX and deepest < 2  # noqa: PLR2004 - one within another
