/// How old an answer may be.
public struct AnswerAge: Sendable {
    /// When the question is asked.
    public var now: Timestamp
    /// With 0, the answer holds everything that was stored before the question.
    public var limit: Duration

    /// The default for questions about users, which cost most to compute.
    public static let ofUsers: Duration = .seconds(5)
    /// The seconds that a caller may set.
    public static let limits = 0...3_600

    public init(now: Timestamp, limit: Duration) {
        self.now = now
        self.limit = limit
    }

    fileprivate func allows(_ moment: Timestamp) -> Bool { moment <= now && moment + limit >= now }
}

/// An answer, and the time up to which it is complete.
public struct Answered<Answer: Sendable>: Sendable {
    public var answer: Answer
    public var isCached: Bool
    /// Every event stored before this time is in the answer.
    public var asOf: Timestamp
}

/// Keeps answers for a few seconds for callers that accept that age. Callers that ask at the same time share one computation.
actor RecentAnswers {
    private struct Entry: Sendable {
        var asOf: Timestamp
        var answer: any Sendable
        var isCached: Bool
        var size: Int
    }

    private var entries: [String: Entry] = [:]
    private var bytes = 0
    private let inFlight = SingleFlight<String, Entry>()

    /// Approximate bytes of answers, beyond which the oldest are removed.
    static let byteLimit = 32 << 20

    /// - Parameters:
    ///   - key: Identifies the question, including its range.
    ///   - size: The approximate bytes of an answer.
    func answer<Answer: Sendable>(
        _ key: String, _ age: AnswerAge, for asker: Asker, size: @escaping @Sendable (Answer) -> Int,
        _ compute: @escaping @Sendable () async throws -> (answer: Answer, cached: Bool)
    ) async throws -> Answered<Answer> {
        guard age.limit > .zero else {
            let (answer, isCached) = try await asker.whileWaiting(compute)
            return Answered(answer: answer, isCached: isCached, asOf: age.now)
        }
        if let entry = entries[key], age.allows(entry.asOf), let answer = entry.answer as? Answer {
            return Answered(answer: answer, isCached: true, asOf: entry.asOf)
        }
        let inFlight = inFlight
        while true {
            let entry = try await asker.whileWaiting {
                try await inFlight.value(for: key) {
                    let (answer, isCached) = try await compute()
                    return Entry(asOf: age.now, answer: answer, isCached: isCached, size: size(answer) + key.utf8.count + 128)
                }
            }
            keep(entry, key, now: age.now)
            guard let answer = entry.answer as? Answer else { preconditionFailure("an answer to another question") }
            // A shared computation may have begun long ago.
            if age.allows(entry.asOf) || entry.asOf > age.now {
                return Answered(answer: answer, isCached: entry.isCached, asOf: entry.asOf)
            }
        }
    }

    private func keep(_ entry: Entry, _ key: String, now: Timestamp) {
        if let before = entries[key] {
            // An entry in the future comes from a clock that has been set back since.
            guard before.asOf < entry.asOf || before.asOf > now else { return }
            bytes -= before.size
        }
        entries[key] = entry
        bytes += entry.size
        while bytes > Self.byteLimit, let oldest = entries.min(by: { $0.value.asOf < $1.value.asOf }) {
            entries[oldest.key] = nil
            bytes -= oldest.value.size
        }
    }
}
