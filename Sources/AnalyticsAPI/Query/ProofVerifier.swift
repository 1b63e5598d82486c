public import AnalyticsCore
internal import AnalyticsJSON

/// Verifies answers that have a proof: recomputes them from the events alone.
public struct ProofVerifier: Sendable {
    private let store: any QuestionStore
    private let zones: ZoneDatabase
    private let gate: QueryGate

    public init(store: any QuestionStore, zones: ZoneDatabase = .system, gate: QueryGate) {
        self.store = store
        self.zones = zones
        self.gate = gate
    }

    /// Throws a ``ProofFault`` if the proof is not valid for this store, and any error of a question: then the result is unknown.
    ///
    /// - Parameter text: A response of a route, with its member `proof`.
    public func verify(_ text: [UInt8]) async throws -> ProofVerdict {
        guard let (digest, found) = Proof.digest(ofAnswer: text), let found else { throw ProofFault.unreadable }
        let proof = try Proof(text: found, key: await store.proofKey(orElse: Proof.newKey()))
        guard digest.utf8.elementsEqual(proof.answer.utf8) else { throw ProofFault.otherAnswer }
        let recount = ReadingRecord()
        let engine = QueryEngine(store: store, cache: NoCache(), gate: gate).recounting(recount)
        let counted = try await answer(to: proof, engine).text
        // Compares after the events are read, so every mark of a counted event that exists by then is in the comparison.
        let comparison = try await ProofComparison(proof, recount, in: store)
        var haveIdentitiesChanged = false
        if let identities = proof.identities { haveIdentitiesChanged = try await engine.identities(of: proof.project) != identities }
        return ProofVerdict(
            proof: proof, holds: Proof.digest(ofAnswer: counted)?.digest.utf8.elementsEqual(proof.answer.utf8) == true,
            totals: (Self.total(text), Self.total(counted)), comparison: comparison,
            watermark: try await store.newestRecords(of: [proof.project]).first?.watermark,
            haveIdentitiesChanged: haveIdentitiesChanged, zones: zones.version)
    }

    /// The answer of the question's route as of the time of the proof, read from the events.
    private func answer(to proof: Proof, _ engine: QueryEngine) async throws -> QuestionAnswer {
        guard let (path, text, isBody) = QuestionRoute.parts(of: proof.question) else { throw ProofFault.unreadable }
        let asOf = proof.asOf
        let budget = ByteBudget(limit: .max)
        let routes = AnalyticsRoutes(
            engine: engine, zones: zones, clock: WallClock { asOf }, body: BodyReader(limit: 0, budget: budget), answers: budget)
        let questions = routes.questions + [QueryRoutes.countsQuestion]
        guard let question = questions.first(where: { $0.path.equalsUTF8(path) && ($0.reader != nil) == isBody }) else {
            throw ProofFault.unknownFormat
        }
        var asked = AskedQuestion(query: isBody ? "" : text, project: proof.project, now: asOf, engine: engine)
        if isBody { asked.body = try BodyNode(PaddedBytes(Array(text.utf8))) }
        return try await question.ask(asked)
    }

    private static func total(_ text: [UInt8]) -> String? {
        var parser = JSONParser()
        let text = PaddedBytes(text)
        return try? parser.withMembers(of: text, at: text.all, maximumDepth: 12) { members in
            members.with("total") { $0.json.text }
        }
    }
}

/// The result of a verification.
public struct ProofVerdict: Sendable {
    public var proof: Proof
    /// Whether the answer is the same, to the last digit.
    public var holds: Bool
    /// The total of the answer, in the proof and now; `nil` if the answer has none.
    public var totals: (then: String?, now: String?)
    public var comparison: ProofComparison
    /// The watermark at verification.
    public var watermark: Timestamp?
    public var haveIdentitiesChanged: Bool
    public var zones: String?
}
