internal import AnalyticsJSON

/// The field that events are grouped by.
public enum Dimension: Sendable, Equatable {
    case type
    case source
    case userId
    case anonymousId
    case property(PropertyPath)

    /// `type`, `source`, `userId`, `anonymousId`, or a path such as `data.plan` or `context.device`.
    public init?(_ text: String) {
        switch text {
        case "type": self = .type
        case "source": self = .source
        case "userId": self = .userId
        case "anonymousId": self = .anonymousId
        default:
            guard let path = try? PropertyPath(text) else { return nil }
            self = .property(path)
        }
    }

    /// The text that ``init(_:)`` parses.
    public var text: String {
        switch self {
        case .type: "type"
        case .source: "source"
        case .userId: "userId"
        case .anonymousId: "anonymousId"
        case .property(let path): path.text
        }
    }

    /// The grouping in rollups, if they have one.
    var rolledUp: CountQuery.Grouping? {
        switch self {
        case .type: .type
        case .source: .source
        default: nil
        }
    }
}

/// A dimension and a metric over rows: the columns that they read, and their values.
struct EventMeasurement: Sendable {
    let dimension: Dimension?
    let metric: Metric

    /// The dimension's column is first, the measure's last.
    var fields: [RowField] { [dimension?.field, measured.map(RowField.property)].compactMap(\.self) }

    var measured: PropertyPath? {
        if case .measure(_, let path) = metric { path } else { nil }
    }

    /// The distinct keys of an event with these values; never empty.
    static func keys(_ values: [JSONScalar]) -> [GroupKey] {
        let keys = values.lazy.filter { $0 != .null }.map { GroupKey($0) }
        switch values.count {
        case 0: return [.null]
        case 1: return keys.first.map { [$0] } ?? [.null]
        default:
            let different = Set(keys)
            return different.isEmpty ? [.null] : Array(different)
        }
    }

    /// `nil` without a measure.
    func numbers(_ rows: EventRows) throws(GroupTable.Unreadable) -> RowNumbers? {
        guard measured != nil, let column = rows.columns.last else { return nil }
        return try RowNumbers(column)
    }
}

extension Dimension {
    var field: RowField {
        switch self {
        case .type: .type
        case .source: .source
        case .userId: .userId
        case .anonymousId: .anonymousId
        case .property(let path): .property(path)
        }
    }
}

extension RowEntries {
    /// Transforms the scalars of each entry.
    func map<Value>(
        _ transform: ([JSONScalar]) throws(GroupTable.Unreadable) -> Value
    ) throws(GroupTable.Unreadable) -> [Value] {
        var values: [Value] = []
        values.reserveCapacity(count)
        for index in 0..<count { values.append(try transform(try scalars(index))) }
        return values
    }
}
