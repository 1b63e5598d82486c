/// Groups as versions up to schema 2 kept them: at most 1,000 a bucket, the smallest beyond counted together as `__other__`.
enum EarlierGroups {
    /// First byte of such groups in SQLite: then for each type, source, count and the number of quarters with their counts.
    static let format: UInt8 = 1

    private static let other = "__other__"

    /// Whether groups may have been counted together. Folding left 999 or 1,000 groups, `__other__` among them.
    static func mayBeFolded(_ groups: [RollupGroup]) -> Bool {
        groups.count >= 999 && groups.contains { $0.type == other && $0.source == other }
    }

    static func decode(_ bytes: [UInt8]) throws(GroupTable.Unreadable) -> [RollupGroup] {
        try bytes.withUnsafeBufferPointer { (buffer) throws(GroupTable.Unreadable) in
            var cursor = TableCursor(buffer)
            guard try cursor.byte() == format, !cursor.isAtEnd else { throw .damaged }
            var groups: [RollupGroup] = []
            while !cursor.isAtEnd {
                let (type, source) = (try GroupTable.string(cursor.text()), try GroupTable.string(cursor.text()))
                let count = try cursor.count()
                var quarters: [Int64] = []
                for _ in 0..<(try cursor.length()) { quarters.append(try cursor.count()) }
                guard let group = RollupGroup(storedType: type, source: source, count: count, quarters: quarters) else { throw .damaged }
                groups.append(group)
            }
            return groups
        }
    }
}
