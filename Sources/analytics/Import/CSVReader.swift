/// Reads CSV (RFC 4180) as bytes come in: quotes, doubled quotes, commas and line breaks inside quotes, CRLF or LF.
///
/// A state machine without I/O. SwiftCSV, which there is, holds the whole file in memory.
struct CSVReader {
    private enum State {
        case fieldStart
        case plain
        case quoted
        /// After a quote inside quotes: the end of the field, or the first half of a doubled quote.
        case quoteInQuoted
    }

    private let separator: UInt8
    private var state = State.fieldStart
    private var field: [UInt8] = []
    private var record: [String] = []

    init(separator: UInt8 = UInt8(ascii: ",")) {
        self.separator = separator
    }

    /// Calls `emit` for each record that these bytes complete. Empty lines are passed over.
    mutating func read(_ bytes: some Sequence<UInt8>, _ emit: ([String]) throws -> Void) rethrows {
        for byte in bytes {
            switch (state, byte) {
            case (.fieldStart, UInt8(ascii: "\"")): state = .quoted
            case (.quoted, UInt8(ascii: "\"")): state = .quoteInQuoted
            case (.quoted, _): field.append(byte)
            case (.quoteInQuoted, UInt8(ascii: "\"")):
                field.append(byte)
                state = .quoted
            case (_, separator): endField()
            case (_, UInt8(ascii: "\n")): try endRecord(emit)
            case (_, UInt8(ascii: "\r")): break
            default:
                field.append(byte)
                state = .plain
            }
        }
    }

    /// The last record, when the file does not end with a line break.
    mutating func finish(_ emit: ([String]) throws -> Void) rethrows {
        if !field.isEmpty || !record.isEmpty { try endRecord(emit) }
    }

    private mutating func endField() {
        record.append(String(decoding: field, as: UTF8.self))
        field.removeAll(keepingCapacity: true)
        state = .fieldStart
    }

    private mutating func endRecord(_ emit: ([String]) throws -> Void) rethrows {
        defer {
            record.removeAll(keepingCapacity: true)
            state = .fieldStart
        }
        if record.isEmpty && field.isEmpty && state == .fieldStart { return }
        endField()
        try emit(record)
    }
}
