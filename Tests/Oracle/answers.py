"""Whether two answers are the same."""

TIMES = {"from", "to", "buckets", "incompleteFrom", "start", "first", "last"}
MISSING = "(missing)"


def difference(got, expected, path="", name=""):
    """(path, got, expected) of the first difference, or None. Numbers are compared as JSON's: 3 is 3.0, and -0.0 is 0; but nearly is not the same."""
    if got is expected:
        return None
    if isinstance(expected, dict) and isinstance(got, dict):
        pairs = [(f"{path}.{key}", got.get(key, MISSING), expected.get(key, MISSING), key) for key in {**expected, **got}]
    elif isinstance(expected, list) and isinstance(got, list):
        pairs = [(f"{path}[{index}]", one, other, name) for index, (one, other) in enumerate(zip(got, expected)) if one is not other]
        pairs += [(f"{path}.count", len(got), len(expected), "")]
    else:
        return None if same(got, expected, name) else (path or ".", got, expected)
    for pair in pairs:
        found = difference(pair[1], pair[2], pair[0], pair[3])
        if found:
            return found
    return None


def same(got, expected, name):
    if name == "asOf":
        return True
    if name in TIMES and isinstance(got, str) and isinstance(expected, str):
        return got == expected or got.endswith("Z") and got[:-1] + "+00:00" == expected
    return got == expected and (is_number(got) and is_number(expected) or type(got) is type(expected))


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
