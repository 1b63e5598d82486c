package import AnalyticsCore
package import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird
package import Logging
internal import NIOCore
internal import Synchronization

/// The API's routes for a server other than HTTP: the same questions and parameters, the same ingest, the same checks, limits and errors,
/// with values as answers. Every error thrown is a ``DeskFailure``.
package struct ServiceDesk: Sendable {
    private let events: EventServices
    private let authenticator: any Authenticator
    private let access: AccessServices?
    private let readiness: @Sendable () async -> Readiness
    private let questions: AnalyticsRoutes
    private let memory: MemoryLimits
    private let clientAddress: ClientAddressRule
    private let logger: Logger

    /// `nil` if the process serves no events.
    package init?(services: APIServices, settings: APISettings, memory: MemoryLimits, logger: Logger) {
        guard let events = services.events else { return nil }
        self.events = events
        self.memory = memory
        self.logger = logger
        authenticator = services.authenticator
        access = services.access
        readiness = services.readiness
        clientAddress = ClientAddressRule(settings)
        questions = AnalyticsRoutes(
            engine: events.engine, zones: events.zones, clock: events.clock,
            body: BodyReader(limit: BodyNode.maximumBytes, budget: memory.bodies, clientAddress: clientAddress),
            answers: memory.answers)
    }

    /// A call with the headers and the address of its caller.
    package struct Call: Sendable {
        /// The called method, as a path.
        package var path: String
        package var headers: [(name: String, value: String)]
        /// The IP address of the other end of the connection.
        package var peer: String?
        package var asker: Asker

        package init(path: String, headers: [(name: String, value: String)], peer: String?, asker: Asker) {
            self.path = path
            self.headers = headers
            self.peer = peer
            self.asker = asker
        }

        fileprivate var fields: HTTPFields {
            var fields = HTTPFields()
            for (name, value) in headers {
                // A session is a browser's, and guarded by rules of HTTP: calls need a key.
                guard let name = HTTPField.Name(name), name != .cookie else { continue }
                fields.append(HTTPField(name: name, value: value))
            }
            return fields
        }
    }

    package var isReady: Bool { get async { await readiness().isReady } }

    // MARK: Questions

    /// - Parameter parameters: Those of the route `/api/v1/analytics/timeseries`.
    package func timeseries(
        _ parameters: [(name: String, value: String)], tenant: String, _ call: Call
    ) async throws(DeskFailure) -> DeskAnswer<(buckets: [String], series: Timeseries)> {
        try await asking(parameters: parameters, tenant, call) { asked, lease in
            let (question, response) = try await questions.timeseriesResponse(asked)
            try lease.hold(response.size)
            let range = question.range
            return DeskAnswer(
                DeskRange(range, asOf: response.asOf, incompleteFrom: range.incompleteFrom(at: response.asOf)),
                (range.starts.map(range.text), response.answer))
        }
    }

    /// - Parameter parameters: Those of the route `/api/v1/analytics/topn`.
    package func top(
        _ parameters: [(name: String, value: String)], tenant: String, _ call: Call
    ) async throws(DeskFailure) -> DeskAnswer<Top> {
        try await asking(parameters: parameters, tenant, call) { asked, lease in
            let (question, answered) = try await questions.topAnswered(asked)
            try lease.hold(answered.answer.size)
            return DeskAnswer(DeskRange(question.range, asOf: answered.asOf, incompleteFrom: nil), answered.answer)
        }
    }

    /// - Parameter body: As the route `/api/v1/analytics/funnels` takes it.
    package func funnel(_ body: [UInt8], tenant: String, _ call: Call) async throws(DeskFailure) -> DeskAnswer<Funnel> {
        try await asking(body: body, tenant, call) { asked, lease in
            let (question, range, query) = try await questions.funnelQuestion(asked)
            let answered = try await asked.engine.funnel(query, question.age(), for: asked.asker)
            try lease.hold(answered.answer.size)
            return DeskAnswer(DeskRange(range, asOf: answered.asOf, incompleteFrom: nil), answered.answer)
        }
    }

    /// - Parameter body: As the route `/api/v1/analytics/retention` takes it.
    package func retention(
        _ body: [UInt8], tenant: String, _ call: Call
    ) async throws(DeskFailure) -> DeskAnswer<(starts: [String], cohorts: UserRetention)> {
        try await asking(body: body, tenant, call) { asked, lease in
            let (question, range, query) = try await questions.retentionQuestion(asked)
            let answered = try await asked.engine.retention(query, question.age(), for: asked.asker)
            try lease.hold(answered.answer.size)
            return DeskAnswer(
                DeskRange(range, asOf: answered.asOf, incompleteFrom: RetentionResponse.incomplete(query, answered.asOf)),
                (range.starts.map(range.text), answered.answer))
        }
    }

    private func asking<Answer>(
        parameters: [(name: String, value: String)] = [], body: [UInt8]? = nil, _ tenant: String, _ call: Call,
        _ ask: (AskedQuestion, ByteBudget.Lease) async throws -> Answer
    ) async throws(DeskFailure) -> Answer {
        try await failing {
            let principal = try await admit(call, .read, tenant)
            let query = parameters.map { "\(PercentEncoding.encode($0.name))=\(PercentEncoding.encode($0.value))" }.joined(separator: "&")
            var asked = AskedQuestion(
                query: query, project: principal.project, now: events.clock.now(), engine: events.engine, asker: call.asker)
            if let body {
                guard body.count <= BodyNode.maximumBytes else {
                    throw Problem(.bodyTooLarge, "A question may have \(BodyNode.maximumBytes) bytes as JSON.")
                }
                asked.body = try BodyNode(PaddedBytes(body))
            }
            return try await ask(asked, memory.answers.lease(for: principal))
        }
    }

    // MARK: Events

    /// Ingests events. The result's memory is counted until the caller releases `held`.
    ///
    /// The events are written as text only if there are not too many and there is memory for it.
    package func send(
        _ batch: some DeskEvents, idempotencyKey: String?, tenant: String, _ call: Call
    ) async throws(DeskFailure) -> (result: SubmissionResult, held: any Sendable) {
        try await failing {
            let principal = try await admit(call, .write, tenant)
            let (origin, address) = clientAddress.origin(peer: call.peer, headers: call.fields)
            let lease = memory.bodies.lease(for: principal, at: address)
            let format = DeskFormat(batch, lease)
            let request = IngestRequest(
                project: principal.project, format: format, body: PaddedBytes(),
                idempotencyKey: try IdempotencyKey.checked(idempotencyKey), origin: origin, clientAddress: address,
                limitedKey: principal.limitedKey, size: batch.textBytes)
            var result: SubmissionResult
            do throws(IngestError) {
                result = try await events.collector.submit(request)
            } catch {
                guard format.lacksMemory else { throw error }
                throw Problem(.overloaded, "Too many large requests are being received at the moment. Send this one again in a moment.")
            }
            result.logUnconfirmed(to: logger)
            CollectResponse.fit(&result, into: lease)
            return (result, lease)
        }
    }

    // MARK: Admission and errors

    /// Checks the key of a call and its scope, as every question and batch does. Takes no request of the project's rate, and does not ask
    /// whether the project is archived.
    package func check(_ scope: Scope, _ call: Call) async throws(DeskFailure) {
        _ = try await failing { try await principal(of: call, scope) }
    }

    private func principal(of call: Call, _ scope: Scope) async throws -> Principal {
        let fields = call.fields
        let head = HTTPRequest(method: .post, scheme: "http", authority: nil, path: call.path, headerFields: fields)
        return try await authenticator.principal(
            of: Request(head: head, body: RequestBody(buffer: ByteBuffer())), with: scope,
            from: clientAddress.text(peer: call.peer, headers: fields))
    }

    private func admit(_ call: Call, _ scope: Scope, _ tenant: String) async throws -> Principal {
        let principal = try await principal(of: call, scope)
        guard tenant.isEmpty || tenant.equalsUTF8(principal.project.name) else {
            throw Problem(
                .insufficientScope, "These credentials are of the project '\(principal.project.name)', and not of '\(tenant.clipped)'.")
        }
        _ = try await access?.admit(principal, scope)
        return principal
    }

    private func failing<Value>(_ body: () async throws -> Value) async throws(DeskFailure) -> Value {
        do {
            return try await body()
        } catch {
            let id = String(UInt64.random(in: .min ... .max), radix: 16)
            throw DeskFailure(Problem(error, requestID: id, logger: logger))
        }
    }
}

/// The events of a batch, not yet written as text.
package protocol DeskEvents: Sendable {
    var count: Int { get }
    /// An estimate of the size of the text.
    var textBytes: Int { get }

    /// Writes them in the native format.
    func text() -> (text: PaddedBytes, places: [PlacedFormat.Place])
}

/// Checks the number of events, takes memory for their text, and only then writes it.
private final class DeskFormat<Events: DeskEvents>: IntakeFormat {
    private let events: Events
    private let lease: ByteBudget.Lease
    private let isRefused = Atomic(false)

    init(_ events: Events, _ lease: ByteBudget.Lease) {
        self.events = events
        self.lease = lease
    }

    /// Whether ``split(_:limit:parser:)`` has thrown because there was no memory.
    var lacksMemory: Bool { isRefused.load(ordering: .relaxed) }

    func split(
        _ body: PaddedBytes, limit: Int, parser: inout JSONParser
    ) throws(IngestError) -> IntakeBatch<[Int: PlacedFormat.Place]> {
        // Throws if there are too many.
        var items = IntakeItems(limit: limit)
        for _ in 0..<events.count { try items.append(0..<0) }
        try take(events.textBytes)
        let (text, places) = events.text()
        // Escapes can make it larger than the estimate.
        try take(text.count)
        return try PlacedFormat(places).split(text, limit: limit, parser: &parser)
    }

    func draft(
        _ item: Range<Int>, of batch: IntakeBatch<[Int: PlacedFormat.Place]>, parser: inout JSONParser, into drafts: inout [EventDraft]
    ) throws(Rejection) {
        try PlacedFormat([]).draft(item, of: batch, parser: &parser, into: &drafts)
    }

    private func take(_ bytes: Int) throws(IngestError) {
        guard !lease.resize(to: bytes) else { return }
        isRefused.store(true, ordering: .relaxed)
        throw IngestError(.invalidEnvelope, "There is no memory for the events.")
    }
}

/// An answer and its range.
package struct DeskAnswer<Value: Sendable>: Sendable {
    package var range: DeskRange
    package var value: Value

    init(_ range: DeskRange, _ value: Value) {
        self.range = range
        self.value = value
    }
}

/// Times as RFC 3339 with the zone's offset.
package struct DeskRange: Sendable {
    package var from: String
    package var to: String
    package var timeZone: String
    package var asOf: String
    package var incompleteFrom: String?

    init(_ range: QuestionRange, asOf: Timestamp, incompleteFrom: Timestamp?) {
        from = range.text(range.from)
        to = range.text(range.to)
        timeZone = range.zone.text
        self.asOf = range.text(asOf)
        self.incompleteFrom = incompleteFrom.map(range.text)
    }
}

/// A problem without its HTTP form.
package struct DeskFailure: Error {
    /// Stable, for programs.
    package var code: String
    /// The HTTP status.
    package var status: Int
    package var detail: String

    init(_ problem: Problem) {
        code = problem.code
        status = problem.status.code
        detail = problem.detail
    }
}
