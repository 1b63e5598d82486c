/// Untrusted text, compared and cut by its UTF-8 bytes.
///
/// `String` operations use grapheme clusters and canonical equivalence: `"\"\u{301}"` does not begin with a quote, `"\r\n"` is one
/// character, and `"\u{37E}" == ";"` holds. `scripts/lint-text.py` forbids them on parsed text.
extension StringProtocol {
    @inlinable public func starts(withUTF8 prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }

    @inlinable public func ends(withUTF8 suffix: String) -> Bool {
        utf8.count >= suffix.utf8.count && utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
    }

    @inlinable public func equalsUTF8(_ other: some StringProtocol) -> Bool { utf8.elementsEqual(other.utf8) }

    /// `byte` is ASCII, so the parts are whole scalars.
    @inlinable public func splitUTF8(_ byte: Unicode.Scalar, maxSplits: Int = .max, omittingEmptySubsequences: Bool = true) -> [Substring] {
        utf8.split(separator: UInt8(ascii: byte), maxSplits: maxSplits, omittingEmptySubsequences: omittingEmptySubsequences)
            .map { Substring(decoding: $0, as: UTF8.self) }
    }

    /// Lower-cases ASCII only. `lowercased()` also maps U+212A to "k".
    @inlinable public func lowercasedASCII() -> String {
        String(decoding: utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }

    @inlinable public func containsUTF8(_ byte: Unicode.Scalar) -> Bool { utf8.contains(UInt8(ascii: byte)) }

    /// The text before and after the first `byte`; `nil` if there is none.
    @inlinable public func cutUTF8(atFirst byte: Unicode.Scalar) -> (before: Substring, after: Substring)? {
        utf8.firstIndex(of: UInt8(ascii: byte)).map(cutUTF8)
    }

    /// The same for the last `byte`.
    @inlinable public func cutUTF8(atLast byte: Unicode.Scalar) -> (before: Substring, after: Substring)? {
        let byte = UInt8(ascii: byte)
        var last: Index?
        for index in utf8.indices where utf8[index] == byte { last = index }
        return last.map(cutUTF8)
    }

    @usableFromInline func cutUTF8(at index: Index) -> (before: Substring, after: Substring) {
        (Substring(decoding: utf8[..<index], as: UTF8.self), Substring(decoding: utf8[utf8.index(after: index)...], as: UTF8.self))
    }

    /// Removes all occurrences of these ASCII bytes.
    @inlinable public func removingUTF8(_ bytes: Unicode.Scalar...) -> String {
        let bytes = bytes.map { UInt8(ascii: $0) }
        return String(decoding: utf8.filter { !bytes.contains($0) }, as: UTF8.self)
    }

    /// Removes the first and the last `count` bytes, which must be ASCII.
    @inlinable public func trimmingUTF8(first: Int = 0, last: Int = 0) -> String {
        String(decoding: utf8.dropFirst(first).dropLast(last), as: UTF8.self)
    }
}

extension String {
    /// Whether it contains this ASCII text.
    func holdsUTF8(_ needle: StaticString) -> Bool {
        let (count, bytes) = (needle.utf8CodeUnitCount, needle.utf8Start)
        var copy = self
        return copy.withUTF8 { text in
            guard count > 0, count <= text.count else { return false }
            for start in 0...text.count - count where text[start] == bytes[0] {
                var length = 1
                while length < count, text[start + length] == bytes[length] { length += 1 }
                if length == count { return true }
            }
            return false
        }
    }

    /// Truncated to 600 bytes of whole scalars: error messages repeat the client's keys and values, which may be long.
    public var clipped: String { clipped(to: 600) }

    /// Truncated to this many bytes of whole scalars, and "…".
    func clipped(to limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var bytes = 0
        let end = unicodeScalars.firstIndex { scalar in
            bytes += UTF8.width(scalar)
            return bytes > limit
        }
        return String(self[..<(end ?? endIndex)]) + "…"
    }
}
