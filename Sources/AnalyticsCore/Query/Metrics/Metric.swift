/// What a question computes of events: docs/queries.md defines each.
public enum Metric: Sendable, Equatable {
    case events
    case users
    /// Those that start.
    case sessions
    case measure(Measure, PropertyPath)

    public enum Measure: String, Sendable, CaseIterable {
        case sum
        case avg
        case min
        case max
        case p50
        case p90
        case p99
    }

    /// `events`, `users`, `sessions`, or a measure of a property such as `sum(data.amount)`.
    public init?(_ text: String) {
        if text.equalsUTF8("events") {
            self = .events
        } else if text.equalsUTF8("users") {
            self = .users
        } else if text.equalsUTF8("sessions") {
            self = .sessions
        } else if text.ends(withUTF8: ")"), let (name, rest) = text.cutUTF8(atFirst: "("),
            let measure = Measure.allCases.first(where: { $0.rawValue.equalsUTF8(name) }),
            let path = try? PropertyPath(rest.trimmingUTF8(last: 1))
        {
            self = .measure(measure, path)
        } else {
            return nil
        }
    }

    /// Whether it needs to be known who did what.
    public var isAboutUsers: Bool { self == .users || self == .sessions }

    /// As ``init(_:)`` reads it.
    public var text: String {
        switch self {
        case .events: "events"
        case .users: "users"
        case .sessions: "sessions"
        case .measure(let measure, let path): "\(measure.rawValue)(\(path.text))"
        }
    }
}

/// A metric's value; no number where it is undefined, as the largest of no values.
public enum MetricValue: Sendable, Equatable {
    case none
    case integer(Int64)
    case double(Double)

    /// For shares and the order of groups; nothing is the smallest.
    var number: Double {
        switch self {
        case .none: -.infinity
        case .integer(let value): Double(value)
        case .double(let value): value
        }
    }

    static func isLarger(_ a: MetricValue, _ b: MetricValue) -> Bool {
        if case .integer(let a) = a, case .integer(let b) = b { return a > b }
        return a.number > b.number
    }
}
