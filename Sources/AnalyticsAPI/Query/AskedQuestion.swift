internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// A question, from a request or from a proof to verify.
struct AskedQuestion: Sendable {
    /// The query string, without the `?`.
    var query: String
    /// The body of a question with a JSON body.
    var body: BodyNode?
    var project: ProjectID
    var now: Timestamp
    var engine: QueryEngine
    var asker = Asker.staying

    /// The values of `explain`.
    enum Explanation: String, CaseIterable {
        case proof
    }
}

/// The answer to a question, before it becomes a response.
struct QuestionAnswer: Sendable {
    var headers: HTTPFields
    /// Approximate bytes in memory.
    var size: Int
    var capacity: Int
    var parts: [JSONPart]
    /// The query or body with its range and zone filled in. A proof stores it, and verification evaluates it again.
    var settled: String

    func response(holding lease: ByteBudget.Lease) -> Response {
        .json(headers: headers, capacity: capacity, holding: lease, parts)
    }

    /// The whole JSON text.
    var text: [UInt8] {
        var json = SlicedJSON(parts, reservingCapacity: capacity)
        var bytes: [UInt8] = []
        while let slice = json.next() { bytes.append(contentsOf: slice.readableBytesView) }
        return bytes
    }
}

/// A question and its routes.
struct QuestionRoute: Sendable {
    /// The path in proofs.
    var path: String
    /// Further paths.
    var aliases: [String] = []
    /// Reads questions with a JSON body; `nil` if the question is a query string.
    var reader: BodyReader?
    var ask: @Sendable (AskedQuestion) async throws -> QuestionAnswer

    init(
        _ path: String, aliases: [String] = [], reader: BodyReader? = nil,
        _ ask: @escaping @Sendable (AskedQuestion) async throws -> QuestionAnswer
    ) {
        self.path = path
        self.aliases = aliases
        self.reader = reader
        self.ask = ask
    }

    /// The question as written in a proof. Paths and queries have no spaces, so a space marks a body.
    func named(_ answer: QuestionAnswer) -> String { path + (reader == nil ? "?" : " ") + answer.settled }

    /// Splits a question from ``named(_:)`` into its path and its query or body.
    static func parts(of name: String) -> (path: String, text: String, isBody: Bool)? {
        if let (path, text) = name.cutUTF8(atFirst: " ") { return (String(path), String(text), true) }
        return name.cutUTF8(atFirst: "?").map { (String($0), String($1), false) }
    }
}

/// Answers questions, with a proof if requested.
struct QuestionResponder: Sendable {
    let engine: QueryEngine
    let zones: ZoneDatabase
    let clock: WallClock
    /// Memory for responses, until they are written.
    let answers: ByteBudget

    func routes(_ question: QuestionRoute) -> [Route] {
        ([question.path] + question.aliases).map { path in
            Route(question.reader == nil ? .get : .post, path, .read) { request, context, principal in
                var asked = AskedQuestion(
                    query: request.uri.query ?? "", project: principal.project, now: clock.now(), engine: engine, asker: context.asker)
                var length = asked.query.utf8.count
                if let reader = question.reader {
                    let body = try await Self.body(of: request, context, reader)
                    asked.body = body.node
                    length = body.length
                }
                let lease = answers.lease(for: principal)
                guard try Self.isProofWanted(asked.query) else {
                    let answer = try await question.ask(asked)
                    try lease.hold(answer.size)
                    return answer.response(holding: lease)
                }
                guard length <= Proof.questionLimit / 4 else {
                    throw QueryParameters.invalid("explain", "goes with questions of at most \(Proof.questionLimit / 4) bytes.")
                }
                return try await proved(asked, question, holding: lease)
            }
        }
    }

    /// The JSON object of a question, and the bytes of its text. `explain` is the only query parameter.
    static func body(of request: Request, _ context: APIRequestContext, _ reader: BodyReader) async throws -> (node: BodyNode, length: Int)
    {
        _ = try QueryParameters(request, allowed: ["explain"])
        return try await reader.node(of: request, context)
    }

    /// Ignores unknown parameters: the question refuses them.
    private static func isProofWanted(_ query: String) throws(Problem) -> Bool {
        try QueryParameters([query], allowed: nil).choice("explain", of: AskedQuestion.Explanation.self) == .proof
    }

    /// Computes the answer anew: a cached answer does not record what it was read from.
    private func proved(_ asked: AskedQuestion, _ question: QuestionRoute, holding lease: ByteBudget.Lease) async throws -> Response {
        let record = ReadingRecord()
        var asked = asked
        asked.engine = engine.recording(record)
        var answer = try await question.ask(asked)
        try lease.hold(answer.size)
        let text = answer.text
        // The parser's own memory is added to the text.
        try lease.hold(answer.size + text.count * 4 + Proof.byteLimit)
        guard let (digest, _) = Proof.digest(ofAnswer: text) else { throw Problem(.internal, "The answer cannot be proved.") }
        let proof = try await engine.proof(
            of: question.named(answer), project: asked.project, asOf: asked.now, answer: digest, zones: zones.version, record)
        answer.parts.append(
            .once { writer in
                writer.key("proof")
                writer.json(proof)
            })
        return answer.response(holding: lease)
    }
}
