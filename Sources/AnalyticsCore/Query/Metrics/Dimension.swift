internal import AnalyticsJSON

/// What events are grouped by.
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

    /// As ``init(_:)`` reads it.
    public var text: String {
        switch self {
        case .type: "type"
        case .source: "source"
        case .userId: "userId"
        case .anonymousId: "anonymousId"
        case .property(let path): path.text
        }
    }

    /// What rollups know.
    var rolledUp: CountQuery.Grouping? {
        switch self {
        case .type: .type
        case .source: .source
        default: nil
        }
    }

    var path: PropertyPath? {
        if case .property(let path) = self { path } else { nil }
    }
}

/// A dimension and a metric on scanned events: which paths are to be read, and what they give.
struct EventMeasurement: Sendable {
    let dimension: Dimension?
    let metric: Metric

    /// In the order of ``ScannedEvent/values``.
    var paths: [PropertyPath] { [dimension?.path, measured].compactMap(\.self) }

    private var measured: PropertyPath? {
        if case .measure(_, let path) = metric { path } else { nil }
    }

    /// Each once; never empty.
    func keys(of event: ScannedEvent) -> [GroupKey] {
        switch dimension {
        case nil: [.null]
        case .type: [GroupKey(event.type)]
        case .source: [GroupKey(event.source)]
        case .userId: [event.userId.map { GroupKey($0) } ?? .null]
        case .anonymousId: [event.anonymousId.map { GroupKey($0) } ?? .null]
        case .property: Self.keys(event.values[0])
        }
    }

    private static func keys(_ values: [JSONScalar]) -> [GroupKey] {
        let keys = values.lazy.filter { $0 != .null }.map { GroupKey($0) }
        switch values.count {
        case 0: return [.null]
        case 1: return keys.first.map { [$0] } ?? [.null]
        default:
            let different = Set(keys)
            return different.isEmpty ? [.null] : Array(different)
        }
    }

    /// What a measure is of.
    func numbers(of event: ScannedEvent) -> [Double] {
        guard measured != nil, let values = event.values.last else { return [] }
        return values.compactMap { value in
            switch value {
            case .integer(let value): Double(value)
            case .double(let value): value
            default: nil
            }
        }
    }
}
