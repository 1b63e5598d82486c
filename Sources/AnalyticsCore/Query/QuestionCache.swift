internal import CoreMetrics

/// Keeps answers for as long as nothing in their range changes, and computes each once for all who ask at the same time.
struct QuestionCache: Sendable {
    private let cache: any CountCache
    private let gate: QueryGate
    private let inFlight = SingleFlight<Flight, any Sendable>()

    /// An answer is found again only while its generation stands; this only bounds what old generations take up.
    static let timeToLive: Duration = .seconds(600)

    private struct Flight: Hashable {
        /// The type of the question, which says of what type the answer is.
        var question: ObjectIdentifier
        var key: String
    }

    init(cache: any CountCache, gate: QueryGate) {
        self.cache = cache
        self.gate = gate
        CacheMetrics.prepare()
    }

    /// The answer, and whether it was cached. `compute` runs when it is its turn, and may be cancelled.
    ///
    /// - Parameters:
    ///   - reading: The times of all events that the answer depends on, where that is more than the range.
    ///   - generation: Of the days of these events, read before anything is computed.
    ///   - digest: Stands for what an answer depends on beside these events.
    func answer<Q: Question>(
        to question: Q, over range: Range<Timestamp>, reading: Range<Timestamp>? = nil, at generation: Int64, under digest: Int64 = 0,
        for asker: Asker, _ compute: @escaping @Sendable () async throws -> Q.Answer
    ) async throws -> (answer: Q.Answer, cached: Bool) {
        let key = Self.key(question, [range, reading ?? range], generation: generation, digest)
        if let cached = await cached(question, key) { return (cached, true) }
        let answer = try await asker.whileWaiting {
            try await inFlight.value(for: Flight(question: ObjectIdentifier(Q.self), key: key)) {
                let answer = try await gate(compute)
                await cache.store(Q.Codec.encode(answer), for: key, timeToLive: Self.timeToLive)
                return answer
            }
        }
        guard let answer = answer as? Q.Answer else { preconditionFailure("a flight of another question") }
        return (answer, false)
    }

    private func cached<Q: Question>(_ question: Q, _ key: String) async -> Q.Answer? {
        switch await cache.value(for: key) {
        case .hit(let bytes):
            do throws(AnswerFault) {
                let answer = try Q.Codec.decode(bytes)
                guard question.accepts(answer) else { throw .damaged }
                CacheMetrics.hit.increment()
                return answer
            } catch {
                (error == .unknownFormat ? CacheMetrics.miss : CacheMetrics.error).increment()
            }
        case .miss: CacheMetrics.miss.increment()
        case .unavailable: CacheMetrics.error.increment()
        }
        return nil
    }

    /// Of the range that is computed, not of the one that was asked for: where that is open, events outside of what there was when the
    /// range was decided may be marked before the generation is read, and no longer change it afterwards.
    private static func key<Q: Question>(
        _ question: Q, _ ranges: [Range<Timestamp>], generation: Int64, _ digest: Int64
    ) -> String {
        let parts: [String] =
            [Q.name, String(Q.Codec.format), question.selection.project.name, String(generation), String(digest)]
            + ranges.flatMap { [String($0.lowerBound.milliseconds), String($0.upperBound.milliseconds)] } + question.selection.keyParts
            + question.keyParts
        return "\(Q.name):" + Digest.hexadecimal(of: parts)
    }
}
