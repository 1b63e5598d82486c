import AnalyticsCore

enum CollectionName: String, CaseIterable {
    case events, minutes, hours, days, reports, attempts, projects, keys, records, meta, segments, erasures, pipeline
    case segmentBlobs = "segment_blobs"
    case visitorSecrets = "visitor_secrets"
}

/// The kinds of keys. Each key is one document, so `_id` alone makes it unique, in sharded collections too. Times are
/// dates, which people can read and write.
enum Key {
    static func event(_ project: ProjectID, _ id: String) -> BSON {
        .document([("project", .string(project.name)), ("id", .string(id))])
    }

    /// `first` is a BSON value, so that it can also be a bound of a range.
    static func report(_ project: ProjectID, _ request: String, _ first: BSON) -> BSON {
        .document([("project", .string(project.name)), ("request", .string(request)), ("first", first)])
    }

    /// `process` is a BSON value, so that it can also be a bound of a range.
    static func attempt(_ delivery: String, _ process: BSON) -> BSON {
        .document([("delivery", .string(delivery)), ("process", process)])
    }

    /// A filter for all attempts of a delivery. In BSON, a document sorts after every string.
    static func attempts(_ delivery: String) -> BSON {
        ["$gte": attempt(delivery, ""), "$lt": attempt(delivery, [:])]
    }

    /// `id` is a BSON value, so that it can also be a bound of a range.
    static func record(_ kind: Record.Kind, _ id: BSON) -> BSON {
        .document([("kind", .string(kind.rawValue)), ("id", id)])
    }

    static func pipeline(_ cell: PipelineCell) -> BSON {
        .document([
            ("project", .string(cell.project.name)), ("minute", .date(BucketKind.minute.start(of: cell.minute))),
            ("writer", .string(cell.writer)),
        ])
    }

    static func bucket(_ kind: BucketKind, _ key: BucketKey) -> BSON {
        .document([("project", .string(key.project.name)), (kind.field, .date(kind.start(of: key.index)))])
    }

    /// A filter for the buckets of a project between two indexes. Documents compare field by field, so this is one range of the
    /// `_id` index. https://www.mongodb.com/docs/v6.0/reference/bson-type-comparison-order/#objects
    static func buckets(_ kind: BucketKind, _ project: ProjectID, _ range: Range<Int64>) -> BSON {
        [
            "$gte": bucket(kind, BucketKey(project: project, index: range.lowerBound)),
            "$lt": bucket(kind, BucketKey(project: project, index: range.upperBound)),
        ]
    }
}

/// The collections of the rollup tiers.
enum BucketKind: Sendable {
    case minute, hour, day

    init(_ tier: RollupTier) {
        self =
            switch tier {
            case .minute: .minute
            case .hour: .hour
            case .day: .day
            }
    }

    var collection: CollectionName {
        switch self {
        case .minute: .minutes
        case .hour: .hours
        case .day: .days
        }
    }

    /// The name of the time field in `_id`.
    var field: String {
        switch self {
        case .minute: "minute"
        case .hour: "hour"
        case .day: "day"
        }
    }

    var milliseconds: Int64 {
        switch self {
        case .minute: RollupTier.minute.milliseconds
        case .hour: RollupTier.hour.milliseconds
        case .day: RollupTier.day.milliseconds
        }
    }

    /// Saturates: a caller's range may be wider than a date.
    func start(of index: Int64) -> Timestamp { Timestamp(index: index, of: milliseconds) }

    func index(of time: Timestamp) -> Int64 { time.index(of: milliseconds) }

    /// `nil` for a document that this adapter did not write, including a time that is not the start of a bucket.
    func key(_ id: BSONView) -> BucketKey? {
        guard let project = id["project"]?.string.flatMap({ ProjectID($0) }), let time = id[field]?.date else { return nil }
        let index = index(of: time)
        return start(of: index) == time ? BucketKey(project: project, index: index) : nil
    }
}
