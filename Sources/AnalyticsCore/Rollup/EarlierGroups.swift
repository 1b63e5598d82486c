/// Groups as stored by versions up to schema 2: at most 1,000 per bucket; the smallest beyond that were counted together as `__other__`.
enum EarlierGroups {
    /// The first byte of these groups in SQLite. Then follow, per group, type, source, count, the number of quarters and their counts.
    static let format: UInt8 = 1

    private static let other = "__other__"

    /// Whether groups may have been counted together. That left 999 or 1,000 groups, including `__other__`.
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
