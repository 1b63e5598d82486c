internal import CSimdJSON

/// Splits an array into its elements without parsing them. It keeps the text and returns byte ranges in it.
public struct JSONElements {
    private var scanner: Scanner

    /// `nil` if the range does not start with `[`.
    public init?(_ text: PaddedBytes, at range: Range<Int>) {
        guard let scanner = Scanner(text, at: range, open: "[") else { return nil }
        self.scanner = scanner
    }

    /// The next element; `nil` after the last. Throws if the array itself is malformed.
    public mutating func next() throws(JSONFault) -> Range<Int>? {
        var element = cjson_view()
        return try scanner.next {
            cjson_scan_element(&$0, &element)
        } found: {
            $0.place(of: element)
        }
    }
}

/// Splits an object into its members without parsing them. It keeps the text and returns byte ranges in it.
public struct JSONRawMembers {
    private var scanner: Scanner

    /// `nil` if the range does not start with `{`.
    public init?(_ text: PaddedBytes, at range: Range<Int>) {
        guard let scanner = Scanner(text, at: range, open: "{") else { return nil }
        self.scanner = scanner
    }

    /// The next member. The key is the raw text between its quotes.
    public mutating func next() throws(JSONFault) -> (key: Range<Int>, value: Range<Int>)? {
        var key = cjson_view()
        var value = cjson_view()
        return try scanner.next {
            cjson_scan_member(&$0, &key, &value)
        } found: {
            ($0.place(of: key), $0.place(of: value))
        }
    }
}

/// The state of a `cjson_scanner` between two calls, without pointers.
private struct Scanner {
    /// Converts the pointers of one call into byte ranges.
    struct Origin {
        let base: UnsafePointer<CChar>
        let offset: Int

        func place(of view: cjson_view) -> Range<Int> {
            let start = offset + (view.bytes - base)
            return start..<start + view.length
        }
    }

    private let text: PaddedBytes
    private var rest: Range<Int>
    private var close: CChar = 0
    private var first = false

    init?(_ text: PaddedBytes, at range: Range<Int>, open: Unicode.Scalar) {
        self.text = text
        rest = range
        let status = step(
            from: { base, count in
                var scanner = cjson_scanner()
                let status = cjson_scan_begin(&scanner, base, count, CChar(bitPattern: UInt8(ascii: open)))
                return (scanner, status)
            }, found: { _, status in status })
        guard status == CJSON_OK else { return nil }
    }

    mutating func next<Found>(
        _ scan: (inout cjson_scanner) -> cjson_status, found: (Origin) -> Found
    ) throws(JSONFault) -> Found? {
        let (close, first) = (close, first)
        let (status, place) = step(
            from: { base, count in
                var scanner = cjson_scanner(next: base, end: base + count, close: close, first: first)
                let status = scan(&scanner)
                return (scanner, status)
            }, found: { origin, status in (status, status == CJSON_OK ? found(origin) : nil) })
        guard status == CJSON_OK || status == CJSON_END else { throw JSONFault(code: .init(status)) }
        return place
    }

    private mutating func step<R>(
        from scan: (UnsafePointer<CChar>, Int) -> (cjson_scanner, cjson_status), found: (Origin, cjson_status) -> R
    ) -> R {
        let range = rest
        let (scanned, left, result) = text.withPointer(at: range) { base in
            let (scanner, status) = scan(base, range.count)
            let left = range.lowerBound + (scanner.next - base)
            return (scanner, left, found(Origin(base: base, offset: range.lowerBound), status))
        }
        rest = left..<range.upperBound
        (close, first) = (scanned.close, scanned.first)
        return result
    }
}
