#!/usr/bin/env python3
"""Finds operations on characters in the sources that should work on bytes.

Swift's String compares grapheme clusters, by canonical equivalence: a U+0301 combines with a quote before it into one
character, "\\r\\n" is one character, U+212A equals "K". Input is parsed by its UTF-8 bytes
(Sources/AnalyticsCore/Event/UTF8Text.swift). A line that may work on characters gives the reason: `// text: <why>`.

    lint-text.py [FOLDER]    lists findings in the Swift files of the folder (default: Sources); fails if there are any
    lint-text.py --self-test checks that it finds each planted line, and nothing in the clean lines
"""

import pathlib
import re
import sys

# A literal of one character: usually a Character. Matching a String too does no harm.
ONE = r'"(?:[^"\\]|\\[^(u]|\\u\{[0-9A-Fa-f]+\})"'
# The same without letters and digits: a switch over keys or values may use those.
DELIMITER = r'"(?:[^"\\A-Za-z0-9]|\\[^(u]|\\u\{[0-9A-Fa-f]+\})"'
LITERAL = r'"(?:[^"\\]|\\.)*"(?!\.utf8)'

RULES = [
    (r"\.has(?:Prefix|Suffix)\b", "compares characters"),
    (r"\bsplit\(\s*separator:\s*" + LITERAL, "splits at a character"),
    (r"\bsplit\(\s*whereSeparator:.*" + ONE, "splits at a character"),
    (r"\b(?:first|last)(?:Index|Range)?\(of:\s*" + LITERAL, "looks for a character"),
    (r"\b(?:ranges|firstRange)\(of:\s*" + LITERAL, "looks for characters"),
    (r"\bcontains\(" + LITERAL, "looks for characters, or searches by canonical equivalence"),
    (r"(?<!\.string )[!=]=\s*" + ONE, "compares a character"),
    (ONE + r"\s*[!=]=", "compares a character"),
    (r"\bcase\b[^:]*?" + DELIMITER, "compares a character"),
    (r"(?:[!=]=|\bcase)\s*" + r'"(?:[^"\\]|\\.)*(?:[^\x00-\x7F]|[K;`]|\\u\{)(?:[^"\\]|\\.)*"', "compares by canonical equivalence"),
    (r"\.replac(?:ing|e|ingOccurrences)\((?:of:)?\s*" + LITERAL, "replaces characters"),
    (r"\bcomponents\(separatedBy", "splits at characters"),
    (r"\btrimmingCharacters\b", "trims characters"),
    (r"\.(?:lower|upper)cased\(\)", "turns other letters into ASCII (U+212A becomes k)"),
    (r"\bCharacter\b", "may have any number of scalars"),
    (r"\.is(?:Letter|Number|Whitespace|Newline|HexDigit|Punctuation)\b(?!\()|\.hexDigitValue\b", "tests a property of a character"),
]
RULES = [(re.compile(pattern), why) for pattern, why in RULES]
MARKER = re.compile(r"// text: \S+")


def code(line):
    """The line without its comment. `//` in a string literal begins no comment."""
    cut = re.match(r'(?:"(?:[^"\\]|\\.)*"|(?!//).)*', line)
    return cut.group(0) if cut else line


def find(text):
    """Pairs of a line number and the finding."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if MARKER.search(line):
            continue
        found += [(number, why) for pattern, why in RULES if pattern.search(code(line))][:1]
    return found


PLANTED = [
    'if raw.first == "\\"" { return }',
    'guard value.first == "\\"", value.last == "\\"" else { return nil }',
    'if name.hasPrefix("data.") {',
    "return prefix.map(name.hasPrefix)",
    'guard type.hasSuffix("+json") else {',
    'let parts = plain.split(separator: " ", maxSplits: 2)',
    'let parts = text.split(separator: "\\r\\n")',
    'let parts = text.split(whereSeparator: { $0 == "," })',
    'guard let colon = receipt.lastIndex(of: ":") else {',
    'let at = address.firstRange(of: "://")',
    'if path.contains("/") {',
    'let type = value.prefix { $0 != ";" }',
    'let type = value.drop(while: { " " == $0 })',
    'text.replacing("+", with: "-")',
    'text.replacingOccurrences(of: "+", with: "-")',
    'text.components(separatedBy: ",")',
    "text.trimmingCharacters(in: .whitespaces)",
    "switch headers[.contentEncoding]?.lowercased() {",
    'case "{": depth += 1',
    'case " ", "\\t": continue',
    'if name == "Keep" {',
    'case "grün": return true',
    'if text == "e\\u{301}" {',
    "for character: Character in text {",
    "text.allSatisfy(\\.isNumber) || text.first!.isLetter",
    'let parts = text.split(separator: " ")  // text is trusted',
    'let parts = text.split(separator: " ")  // text:',
]

CLEAN = [
    'if raw.first == UInt8(ascii: "\\"") { return }',
    'let parts = text.splitUTF8(" ", maxSplits: 2)',
    'guard let (before, after) = receipt.cutUTF8(atLast: ":") else {',
    'if text.starts(withUTF8: "data."), text.ends(withUTF8: "ms"), text.equalsUTF8("K"), text.containsUTF8(".") {',
    "let line = rest.prefix { $0 != 0x0A }",
    'case "v": try check(value)',
    'case "waits": reportRequested = value.string == "1"',
    'let start = address.utf8.firstRange(of: "://".utf8)',
    "if Self.isNumber(cell) {",
    'case "events" where array == nil: array = value',
    'if type == "application/json" {',
    "if list.contains(where: { $0.isReady }) || list.contains(number) || list.first == other {",
    "/// As `hasPrefix` would: a Character.",
    'write("text.hasPrefix is \\(name)")  // not hasPrefix'.replace("hasPrefix is", "begins as"),
    'let word = "// no comment"',
    'let parts = text.split(separator: " ")  // text: the service\'s own output',
    'items.split(separator: 0x2C).map(String.init)',
]


def self_test():
    missed = [line for line in PLANTED if not find(line)]
    wrong = [line for line in CLEAN if find(line)]
    for line in missed:
        print(f"lint-text: not found: {line}", file=sys.stderr)
    for line in wrong:
        print(f"lint-text: found in a clean line: {line}", file=sys.stderr)
    unused = [pattern.pattern for pattern, _ in RULES if not any(pattern.search(code(line)) for line in PLANTED)]
    for pattern in unused:
        print(f"lint-text: no planted line for {pattern}", file=sys.stderr)
    return not (missed or wrong or unused)


def main(arguments):
    if arguments == ["--self-test"]:
        return 0 if self_test() else 1
    folder = pathlib.Path(arguments[0] if arguments else "Sources")
    files = sorted(folder.rglob("*.swift"))
    if not files:
        print(f"lint-text: no Swift files in {folder}", file=sys.stderr)
        return 1
    count = 0
    for path in files:
        for number, why in find(path.read_text(encoding="utf-8")):
            print(f"{path}:{number}: this {why}; use its UTF-8 bytes, or say why not: // text: <why>", file=sys.stderr)
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
