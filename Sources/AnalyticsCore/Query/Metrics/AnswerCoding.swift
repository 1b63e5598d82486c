internal import AnalyticsJSON

/// The cache format of values and keys.
extension TableWriter {
    /// 0 for none; 1 and eight bytes for a double; else the integer plus 2.
    mutating func value(_ value: MetricValue) {
        switch value {
        case .none: number(0)
        case .double(let value):
            number(1)
            word(value.bitPattern)
        case .integer(let value): number(value + 2)
        }
    }

    mutating func key(_ key: GroupKey) {
        switch key {
        case .null: scalar(.null)
        case .boolean(let value): scalar(.boolean(value))
        case .number(.integer(let value)): scalar(.integer(value))
        case .number(.double(let value)): scalar(.double(value))
        case .text(let value): scalar(.string(value.text))
        }
    }

    /// The kind, then the value.
    mutating func scalar(_ scalar: JSONScalar) {
        switch scalar {
        case .null: number(0)
        case .boolean(let value): number(value ? 2 : 1)
        case .integer(let value):
            number(3)
            word(UInt64(bitPattern: value))
        case .double(let value):
            number(4)
            word(value.bitPattern)
        case .string(let value):
            number(5)
            text(value)
        }
    }
}

extension TableCursor {
    /// Reads a whole cached answer, whose first number is its format.
    static func answer<Answer>(
        in bytes: [UInt8], format: Int64, _ read: (inout TableCursor) throws(GroupTable.Unreadable) -> Answer
    ) throws(AnswerFault) -> Answer {
        let answer: Answer?
        do throws(GroupTable.Unreadable) {
            answer = try bytes.withUnsafeBufferPointer { (buffer) throws(GroupTable.Unreadable) -> Answer? in
                var cursor = TableCursor(buffer)
                guard try cursor.number() == format else { return nil }
                let answer = try read(&cursor)
                guard cursor.isAtEnd else { throw .damaged }
                return answer
            }
        } catch {
            throw .damaged
        }
        guard let answer else { throw .unknownFormat }
        return answer
    }

    mutating func value() throws(GroupTable.Unreadable) -> MetricValue {
        switch try number() {
        case 0: return .none
        case 1: return .double(Double(bitPattern: try word()))
        case let value: return .integer(value - 2)
        }
    }

    mutating func key() throws(GroupTable.Unreadable) -> GroupKey {
        let scalar = try scalar()
        // JSON has no NaN, and NaN equals no key.
        if case .double(let value) = scalar, value.isNaN { throw .damaged }
        return GroupKey(scalar)
    }

    mutating func scalar() throws(GroupTable.Unreadable) -> JSONScalar {
        switch try number() {
        case 0: return .null
        case 1: return .boolean(false)
        case 2: return .boolean(true)
        case 3: return .integer(Int64(bitPattern: try word()))
        case 4: return .double(Double(bitPattern: try word()))
        case 5: return .string(try GroupTable.string(text()))
        default: throw .damaged
        }
    }
}
