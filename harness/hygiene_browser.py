"""What a spec in the browser may not do: look for anything but roles and labels, expect loosely.

Theory: a person and a screen reader find a thing by its role and its name; a selector finds what no
one can see. An expectation waits by itself, so a spec never waits for a time or reads a state once.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from harness.syntax import Found, calls, is_constant, keyword, verb

SELECTORS = {
    *("locator", "query_selector", "query_selector_all", "wait_for_selector", "eval_on_selector"),
    *("eval_on_selector_all", "get_by_test_id", "get_by_text", "get_by_placeholder"),
    *("get_by_title", "get_by_alt_text", "frame_locator"),
}
TAKES_A_SELECTOR = {  # on a page; the same verb of a locator takes this many arguments
    **dict.fromkeys(("click", "dblclick", "hover", "focus", "check", "uncheck", "tap"), 0),
    **dict.fromkeys(("inner_text", "inner_html", "text_content", "input_value"), 0),
    **dict.fromkeys(("is_visible", "is_enabled", "is_checked", "is_hidden"), 0),
    **dict.fromkeys(("fill", "press", "type", "select_option", "get_attribute"), 1),
}
LOOSE = {"to_contain_text", "not_to_contain_text", "to_contain_class"}
WAITS = {"wait_for_timeout"}
SCRIPT_SELECTORS = ("querySelector", "getElement")


def selector(tree: ast.Module) -> Iterator[Found]:
    for call in calls(tree):
        name = verb(call)
        if name in SELECTORS or len(call.args) > TAKES_A_SELECTOR.get(name, len(call.args)):
            yield call, "find it as a person does: get_by_role or get_by_label"
        if name == "evaluate" and any(word in ast.unparse(call) for word in SCRIPT_SELECTORS):
            yield call, "find it as a person does: get_by_role or get_by_label"


def loose_expectation(tree: ast.Module) -> Iterator[Found]:
    for call in calls(tree):
        if verb(call) in LOOSE:
            yield call, "expect the whole text"
        if verb(call) in WAITS:
            yield call, "expect what you wait for"
        named = verb(call) == "get_by_label" or keyword(call, "name") is not None
        by_name = named and verb(call) in ("get_by_role", "get_by_label")
        if by_name and not is_constant(keyword(call, "exact"), True):
            yield call, "a name is exact=True"


RULES = (selector, loose_expectation)
