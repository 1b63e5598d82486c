public import AnalyticsCore

extension MongoStore {
    public func minuteStamp(_ minute: BucketKey) async throws(StoreError) -> MinuteStamp? {
        try await run(.minuteStamp) { session throws(StoreError) in
            var stamp: MinuteStamp?
            let options: [(String, BSON)] = [("projection", ["v": 1, "told": 1, "parts": 1])]
            try session.find(.minutes, [("_id", Key.bucket(.minute, minute))], options) { row throws(StoreError) in
                guard let found = MinuteStamp(row) else { throw session.damage(.minutes) }
                stamp = found
            }
            return stamp
        }
    }
}

/// The members of a minute that record where its events changed: `told`, and `parts` with a number per part. Missing if no mark had
/// parts, and in documents of earlier versions.
enum Stamps {
    /// The members that a mark increments by one.
    static func raised(_ parts: MinuteParts?) -> [(String, BSON)] {
        guard let parts, !parts.isEmpty else { return [] }
        return [("told", 1)] + parts.indexes.map { ("parts.\($0)", 1) }
    }
}

extension MinuteStamp {
    /// `nil` for a document that this adapter did not write.
    fileprivate init?(_ row: BSONView) {
        guard row.each({ _ in }), let version = row["v"]?.integer else { return nil }
        var marks: [Int: Int64] = [:]
        for element in row["parts"]?.document ?? BSONView(UnsafeRawBufferPointer(start: nil, count: 0)) {
            guard let part = Int(element.key), let count = element.integer else { return nil }
            marks[part] = count
        }
        self.init(version: version, told: row["told"]?.integer ?? 0, marks: marks)
    }
}
