internal import CoreMetrics

/// Keeps answers until events in their range change. Callers that ask at the same time share one computation.
struct QuestionCache: Sendable {
    private let cache: any CountCache
    private let gate: QueryGate
    private let inFlight = SingleFlight<Flight, any Sendable>()

    /// An answer is found only while its generation is current. This only bounds the memory for old generations.
    static let timeToLive: Duration = .seconds(600)

    private struct Flight: Hashable {
        /// The type of the question; it determines the type of the answer.
        var question: ObjectIdentifier
        var key: String
    }

    init(cache: any CountCache, gate: QueryGate) {
        self.cache = cache
        self.gate = gate
        CacheMetrics.prepare()
    }

    /// The answer, and whether it was cached. `compute` runs when it gets its turn, and may be cancelled.
    ///
    /// - Parameters:
    ///   - reading: The times of all events that the answer depends on, if that is more than the range.
    ///   - generation: The generation of the days of these events, read before the computation.
    ///   - digest: Identifies everything else that the answer depends on.
    func answer<Q: Question>(
        to question: Q, over range: Range<Timestamp>, reading: Range<Timestamp>? = nil, at generation: Int64, under digest: Int64 = 0,
        for asker: Asker, _ compute: @escaping @Sendable () async throws -> Q.Answer
    ) async throws -> (answer: Q.Answer, cached: Bool) {
        let key = Self.key(question, [range, reading ?? range], generation: generation, digest)
        if let cached = await cached(question, key) { return (cached, true) }
        let answer = try await asker.whileWaiting {
            try await inFlight.value(for: Flight(question: ObjectIdentifier(Q.self), key: key)) {
                let answer = try await gate(for: question.selection.project, compute)
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

    /// The key has the computed range, not the requested one. If the requested range is open, events outside the computed range may
    /// be marked before the generation is read, and then do not change it.
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
