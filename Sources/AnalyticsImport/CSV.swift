/// The state of a CSV parser (RFC 4180) between two bytes: quotes, doubled quotes, separators and line breaks inside quotes, CRLF or LF.
///
/// A state machine without I/O. The existing SwiftCSV holds the whole file in memory.
enum CSVState {
    case fieldStart
    case plain
    case quoted
    /// After a quote inside quotes: the end of the field, or the first half of a doubled quote.
    case quoteInQuoted

    enum Step {
        /// A quote, or the first byte of a line break.
        case syntax
        /// Part of the field's content.
        case content
        case endOfField
        case endOfRecord
    }

    mutating func step(_ byte: UInt8, separator: UInt8) -> Step {
        switch (self, byte) {
        case (.fieldStart, UInt8(ascii: "\"")): self = .quoted
        case (.quoted, UInt8(ascii: "\"")): self = .quoteInQuoted
        case (.quoted, _): return .content
        case (.quoteInQuoted, UInt8(ascii: "\"")):
            self = .quoted
            return .content
        case (_, separator):
            self = .fieldStart
            return .endOfField
        case (_, UInt8(ascii: "\n")):
            self = .fieldStart
            return .endOfRecord
        case (_, UInt8(ascii: "\r")): break
        default:
            self = .plain
            return .content
        }
        return .syntax
    }

    /// The cells of one record without its line break.
    static func cells(of record: [UInt8], separator: UInt8) -> [String] {
        var state = CSVState.fieldStart
        var cells: [String] = []
        var cell: [UInt8] = []
        func endCell() {
            cells.append(String(decoding: cell, as: UTF8.self))
            cell.removeAll(keepingCapacity: true)
        }
        for byte in record {
            switch state.step(byte, separator: separator) {
            case .syntax, .endOfRecord: break
            case .content: cell.append(byte)
            case .endOfField: endCell()
            }
        }
        endCell()
        return cells
    }
}
