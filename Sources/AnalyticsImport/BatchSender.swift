internal import AnalyticsCore

/// Sends events to a service's `/api/v1/events/batch`.
public protocol ImportTransport: Sendable {
    /// Throws if there is no response; the caller may retry. Throws when cancelled.
    func post(_ events: [[UInt8]]) async throws -> ImportResponse
}

/// The service's response to a request; members missing from it are `nil`.
public struct ImportResponse: Sendable, Decodable {
    /// An event that the service refused.
    public struct Refusal: Sendable, Decodable, Equatable {
        public var index: Int
        public var code: String
        public var message: String

        public init(index: Int, code: String, message: String) {
            self.index = index
            self.code = code
            self.message = message
        }
    }

    /// The HTTP status.
    public var status = 0
    public var accepted: Int?
    public var duplicates: Int?
    /// The number of refused events, if `rejected` has only the first of them.
    public var rejectedCount: Int?
    public var rejected: [Refusal]?
    public var detail: String?
    /// Of the header `Retry-After`.
    public var retryAfter: Duration?

    private enum CodingKeys: String, CodingKey {
        case accepted, duplicates, rejectedCount, rejected, detail
    }

    public init(
        status: Int, accepted: Int? = nil, duplicates: Int? = nil, rejectedCount: Int? = nil, rejected: [Refusal]? = nil,
        detail: String? = nil, retryAfter: Duration? = nil
    ) {
        self.status = status
        self.accepted = accepted
        self.duplicates = duplicates
        self.rejectedCount = rejectedCount
        self.rejected = rejected
        self.detail = detail
        self.retryAfter = retryAfter
    }
}

/// Sends a batch until each of its events is accepted or rejected.
public struct BatchSender: Sendable {
    struct Outcome: Sendable {
        var tally = ImportTally()
        var refusals: [ImportResponse.Refusal] = []
    }

    private let transport: any ImportTransport
    private let attempts: Int
    private let pause: @Sendable (Duration) async throws -> Void

    /// `attempts`: attempts per batch before the import ends; `pause` waits between two attempts. A batch that only exceeds the project's
    /// rate is sent again until it passes.
    public init(
        _ transport: any ImportTransport, attempts: Int = 12,
        pause: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.transport = transport
        self.attempts = attempts
        self.pause = pause
    }

    /// Events have ids, so a whole batch may always be sent again.
    func send(_ events: [[UInt8]]) async throws -> Outcome {
        var backoff = Backoff(first: .milliseconds(200))
        // Accepted by earlier attempts that accepted a part of the batch. They return as duplicates, but are not counted as such.
        var acceptedBefore = 0
        while true {
            let failure: String
            var turn: Duration?
            do {
                let answer = try await transport.post(events)
                switch answer.status {
                case 200, 202: return outcome(answer, acceptedBefore: acceptedBefore)
                case 400 where answer.rejected != nil: return outcome(answer, acceptedBefore: acceptedBefore)
                case 413: return try await sendHalves(events, answer)
                case 429, 500..<600:
                    acceptedBefore += answer.accepted ?? 0
                    if answer.status == 429 { turn = answer.retryAfter }
                    failure = "\(answer.status) \(answer.detail ?? "")"
                default: throw ImportFailure("the service answers \(answer.status): \(answer.detail ?? "no reason given")")
                }
            } catch let error as ImportFailure {
                throw error
            } catch {
                failure = "\(error)"
            }
            if let turn {
                try await pause(turn)
                continue
            }
            let delay = backoff.next()
            guard backoff.failures < attempts else { throw ImportFailure("the service does not accept the events: \(failure)") }
            try await pause(delay)
        }
    }

    /// The body was larger than the service allows.
    private func sendHalves(_ events: [[UInt8]], _ answer: ImportResponse) async throws -> Outcome {
        guard events.count > 1 else {
            let refusal = ImportResponse.Refusal(index: 0, code: "body_too_large", message: answer.detail ?? "The event is too large.")
            return Outcome(tally: ImportTally(rejected: 1), refusals: [refusal])
        }
        let half = events.count / 2
        var outcome = try await send(Array(events[..<half]))
        let rest = try await send(Array(events[half...]))
        outcome.tally += rest.tally
        outcome.refusals += rest.refusals.map { ImportResponse.Refusal(index: $0.index + half, code: $0.code, message: $0.message) }
        return outcome
    }

    private func outcome(_ answer: ImportResponse, acceptedBefore: Int) -> Outcome {
        let refusals = answer.rejected ?? []
        let duplicates = max(0, (answer.duplicates ?? 0) - acceptedBefore)
        return Outcome(
            tally: ImportTally(
                accepted: (answer.accepted ?? 0) - duplicates, duplicates: duplicates, rejected: answer.rejectedCount ?? refusals.count),
            refusals: refusals)
    }
}
