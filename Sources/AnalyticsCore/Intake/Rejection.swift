internal import AnalyticsJSON

/// A rejected event and the reason. Nothing of it is kept.
public struct Rejection: Error, Sendable, Equatable {
    /// Position in the request, from 0.
    public var index: Int
    /// The event's id, if it could be read.
    public var id: String?
    /// The member concerned, if any.
    public var field: String?
    public var code: RejectionCode
    /// What is wrong and how to correct it, for people.
    public var message: String

    public init(index: Int = 0, id: String? = nil, field: String? = nil, code: RejectionCode, message: String) {
        self.index = index
        self.id = id
        self.field = field
        self.code = code
        self.message = message
    }
}

extension Rejection {
    fileprivate var size: Int { 160 + (id?.utf8.count ?? 0) + (field?.utf8.count ?? 0) + message.utf8.count }
}

/// The rejected events of a request. All are counted; only the first are kept, with clipped texts. Otherwise a body of commas would get a
/// response a thousand times its size.
public struct Rejections: Sendable, Equatable {
    public static let maximumKept = 1_000

    /// In the order of the request.
    public private(set) var first: [Rejection] = []
    public private(set) var counts: [RejectionCode: Int] = [:]
    public private(set) var count = 0
    /// Approximate size in memory of those kept, in bytes.
    public private(set) var size = 0

    public init() {}

    mutating func append(_ rejection: Rejection) {
        count += 1
        counts[rejection.code, default: 0] += 1
        guard first.count < Self.maximumKept else { return }
        var rejection = rejection
        rejection.field = rejection.field?.clipped
        rejection.message = rejection.message.clipped
        first.append(rejection)
        size += rejection.size
    }

    /// Keeps the first rejections that together fit `byteLimit`.
    public mutating func keep(byteLimit: Int) {
        while size > byteLimit, let last = first.popLast() { size -= last.size }
    }
}

/// Stable names: clients and dashboards depend on them.
public enum RejectionCode: String, Sendable, CaseIterable {
    case invalidJSON = "invalid_json"
    case invalidUTF8 = "invalid_utf8"
    case tooDeep = "too_deep"
    case duplicateKey = "duplicate_key"
    case nulInKey = "nul_in_key"
    case numberOutOfRange = "number_out_of_range"
    case notAnObject = "not_an_object"
    case eventTooLarge = "event_too_large"
    case missingField = "missing_field"
    case unknownField = "unknown_field"
    case invalidType = "invalid_type"
    case invalidValue = "invalid_value"
    case invalidTimestamp = "invalid_timestamp"
    case timestampInFuture = "timestamp_in_future"
    case timestampTooOld = "timestamp_too_old"
}

/// Why no event of a request is accepted.
public struct IngestError: Error, Sendable, Equatable {
    public enum Code: String, Sendable {
        case invalidJSON = "invalid_json"
        case invalidEnvelope = "invalid_envelope"
        case emptyBatch = "empty_batch"
        case tooManyEvents = "too_many_events"
        /// The project or the key has sent more events than its rate allows; ``rate`` says when to send these again.
        case rateExceeded = "rate_limited"
    }

    public var code: Code
    public var message: String
    /// Of ``Code/rateExceeded``.
    public var rate: Rate?

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}

extension IngestError {
    static func rateExceeded(_ rate: Rate) -> Self {
        let sender = rate.isOfKey ? "key" : "project"
        var error = Self(.rateExceeded, "The \(sender) may send \(rate.limit) events per second. Send these again later.")
        error.rate = rate
        return error
    }
}

extension Rejection {
    init(fault: JSONFault, field: String? = nil) {
        let (code, message): (RejectionCode, String) =
            switch fault.code {
            case .syntax, .memory: (.invalidJSON, "The event is not valid JSON.")
            case .utf8: (.invalidUTF8, "The event is not valid UTF-8.")
            case .depth: (.tooDeep, "The event is nested deeper than \(EventLimits.maximumDepth) levels.")
            case .duplicateKey: (.duplicateKey, "An object of the event holds the same key twice.")
            case .nulInKey: (.nulInKey, "A key of the event holds a NUL character.")
            case .number:
                (
                    .numberOutOfRange,
                    "A number of the event is malformed, or fits neither a 64-bit integer nor a finite double; send it as a string."
                )
            case .notObject: (.notAnObject, "An event is a JSON object.")
            }
        self.init(field: field ?? fault.key, code: code, message: message)
    }
}
