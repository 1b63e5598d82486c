internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// A question, wherever it comes from: a request, or a proof that is verified.
struct AskedQuestion: Sendable {
    /// As a URL has it behind its `?`.
    var query: String
    var project: ProjectID
    var now: Timestamp
    var engine: QueryEngine
    var asker = Asker.staying

    /// What `explain` may ask for.
    enum Explanation: String, CaseIterable {
        case proof
    }
}

/// What a question is answered, before it becomes a response.
struct QuestionAnswer: Sendable {
    var headers: HTTPFields
    /// About the bytes that it holds.
    var size: Int
    var capacity: Int
    var parts: [JSONPart]
    /// The question with what the query left open filled in: a proof holds it, and it is asked again with it.
    var settled: String

    func response(holding lease: ByteBudget.Lease) -> Response {
        .json(headers: headers, capacity: capacity, holding: lease, parts)
    }

    /// All of its text.
    var text: [UInt8] {
        var json = SlicedJSON(parts, reservingCapacity: capacity)
        var bytes: [UInt8] = []
        while let slice = json.next() { bytes.append(contentsOf: slice.readableBytesView) }
        return bytes
    }
}

/// Answers questions, with a proof for those who ask for it.
struct QuestionResponder: Sendable {
    let engine: QueryEngine
    let zones: ZoneDatabase
    let clock: WallClock
    /// Of what answers hold until they are written.
    let answers: ByteBudget

    typealias Ask = @Sendable (AskedQuestion) async throws -> QuestionAnswer

    /// - Parameter name: The path that proofs name, where a question has several.
    func route(_ path: String, as name: String? = nil, _ ask: @escaping Ask) -> Route {
        Route(.get, path, .read) { request, context, principal in
            let asked = AskedQuestion(
                query: request.uri.query ?? "", project: principal.project, now: clock.now(), engine: engine, asker: context.asker)
            let lease = answers.lease()
            guard try Self.isProofWanted(asked.query) else {
                let answer = try await ask(asked)
                try lease.hold(answer.size)
                return answer.response(holding: lease)
            }
            return try await proved(asked, name ?? path, ask, holding: lease)
        }
    }

    /// Unknown parameters are for the question to refuse.
    private static func isProofWanted(_ query: String) throws(Problem) -> Bool {
        try QueryParameters([query], allowed: nil).choice("explain", of: AskedQuestion.Explanation.self) == .proof
    }

    /// Computed for this question alone: of an answer from the cache it is not known any more what it was read from.
    private func proved(
        _ asked: AskedQuestion, _ path: String, _ ask: Ask, holding lease: ByteBudget.Lease
    ) async throws -> Response {
        guard asked.query.utf8.count <= Proof.questionLimit / 4 else {
            throw QueryParameters.invalid("explain", "goes with questions of at most \(Proof.questionLimit / 4) bytes.")
        }
        let record = ReadingRecord()
        var asked = asked
        asked.engine = engine.recording(record)
        var answer = try await ask(asked)
        try lease.hold(answer.size)
        let text = answer.text
        // Beside it the parser holds what it has read.
        try lease.hold(answer.size + text.count * 4 + Proof.byteLimit)
        guard let (digest, _) = Proof.digest(ofAnswer: text) else { throw Problem(.internal, "The answer cannot be proved.") }
        let proof = try await engine.proof(
            of: "\(path)?\(answer.settled)", project: asked.project, asOf: asked.now, answer: digest, zones: zones.version, record)
        answer.parts.append(
            .once { writer in
                writer.key("proof")
                writer.json(proof)
            })
        return answer.response(holding: lease)
    }
}
