/// The value that a question computes from events, as defined in docs/queries.md.
public enum Metric: Sendable, Equatable {
    case events
    case users
    /// Sessions that start in the range.
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

    /// Whether the metric needs the actors of events.
    public var isAboutUsers: Bool { self == .users || self == .sessions }

    /// The text that ``init(_:)`` parses.
    public var text: String {
        switch self {
        case .events: "events"
        case .users: "users"
        case .sessions: "sessions"
        case .measure(let measure, let path): "\(measure.rawValue)(\(path.text))"
        }
    }
}

/// The value of a metric; ``none`` if it is undefined, such as the maximum of no values.
public enum MetricValue: Sendable, Equatable {
    case none
    case integer(Int64)
    case double(Double)

    /// For shares and the order of groups; ``none`` is the smallest.
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
