/// Cache format: the format number, the count of items, the key and value of each, the total, and the value of the keys that are not
/// listed.
enum TopCodec: AnswerCodec {
    static let format: Int64 = 1

    static func encode(_ answer: Top) -> [UInt8] {
        var writer = TableWriter()
        writer.number(format)
        writer.number(Int64(answer.items.count))
        for item in answer.items {
            writer.key(item.key)
            writer.value(item.value)
        }
        writer.value(answer.total)
        writer.value(answer.other)
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(AnswerFault) -> Top {
        try TableCursor.answer(in: bytes, format: format) { (cursor) throws(GroupTable.Unreadable) in
            let items = try (0..<cursor.length()).map { (_) throws(GroupTable.Unreadable) in
                Top.Item(key: try cursor.key(), value: try cursor.value())
            }
            return Top(items: items, total: try cursor.value(), other: try cursor.value())
        }
    }
}
