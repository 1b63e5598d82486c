import AnalyticsJSON
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// Every route of the table, with every kind of key that must get nothing from it. All texts that the project `victim` stores begin with
/// `zqx`, and so do the texts in the labels of metrics. It is noon.
@Suite(.timeLimit(.minutes(5)))
struct LeakTableTests {
    private let keys = Keyring()

    /// Routes without a scope. Whoever adds one says here that it shows nothing of a project.
    private static let open: Set<String> = [
        "GET /docs", "GET /health/live", "GET /health/ready", "GET /metrics", "GET /openapi.json",
    ]

    // MARK: No key, or none that is of use

    @Test func `only the routes that are named here answer without a key`() async throws {
        let place = try await Place(keys)
        let answering = try await place.run { client in
            var answering: Set<String> = []
            for route in place.routes {
                let sent = owned(route)[0]
                let answer = try await client.send(sent)
                if answer.status != .unauthorized { answering.insert(route.name) }
                #expect(leaked(by: answer, to: sent).isEmpty, "\(sent.text)")
            }
            return answering
        }
        #expect(answering == Self.open)
    }

    @Test func `no key, and one that is malformed, unknown, revoked or expired, open nothing`() async throws {
        let place = try await Place(keys)
        let whole = keys.admin.text
        let refused: [(key: String?, code: String)] = [
            (nil, "missing_key"), ("nonsense", "invalid_key"),
            (String(whole.dropLast()) + (whole.hasSuffix("0") ? "1" : "0"), "invalid_key"),
            (keys.unknown.text, "invalid_key"), (keys.revoked.text, "revoked_key"), (keys.expired.text, "expired_key"),
        ]
        try await place.run { client in
            for sent in place.routes.filter({ !Self.open.contains($0.name) }).flatMap(owned) {
                for (key, code) in refused {
                    for carrier in key == nil ? [Carrier.bearer] : Carrier.allCases {
                        for method in sent.methods {
                            let answer = try await client.send(sent.with(method), key, as: carrier)
                            #expect(answer.status == .unauthorized, "\(method) \(sent.text) \(code) \(answer.text)")
                            #expect(method == .head ? answer.body.readableBytes == 0 : answer.code == code, "\(sent.text)")
                            #expect(answer.headers[.wwwAuthenticate]?.hasPrefix("Bearer") == true, "\(sent.text)")
                            #expect(leaked(by: answer, to: sent).isEmpty, "\(sent.text)")
                        }
                    }
                }
                var headers = sent.headers
                headers[.xAPIKey] = keys.own.text
                let both = try await client.send(sent.with(headers), whole)
                #expect(both.status == .badRequest && both.code == "invalid_header", "\(sent.text) \(both.text)")
            }
        }
    }

    @Test func `OPTIONS, and a method that a path does not have, show nothing`() async throws {
        let place = try await Place(keys)
        try await place.run { client in
            for sent in place.routes.flatMap(owned) {
                for key in [nil, keys.own.text, keys.revoked.text] {
                    let options = try await client.send(sent.with(.options), key)
                    #expect(options.status == .noContent && options.headers[.allow] != nil && options.body.readableBytes == 0)
                    let other = try await client.send(sent.with(HTTPRequest.Method("PROPFIND")!), key)
                    #expect(other.status == .methodNotAllowed, "\(sent.text)")
                    for answer in [options, other] { #expect(leaked(by: answer, to: sent).isEmpty, "\(sent.text)") }
                }
            }
        }
    }

    @Test func `metrics name no project to others than the instance's administrator`() async throws {
        let place = try await Place(keys)
        try await place.run { client in
            let sent = Sent(.get, "/metrics")
            for key in [nil, keys.own.text, keys.admin.text, keys.unknown.text] {
                let answer = try await client.send(sent, key)
                #expect(answer.text.contains("events 7") == (answer.status == .ok) && !answer.text.contains("zqx"), "\(answer.text)")
            }
            let all = try await client.send(sent, Place.token)
            #expect(all.text.contains("events 7") && all.text.contains("zqxmetric"))
        }
    }

    // MARK: Keys of the project, with a scope or without

    /// Routes whose answers show texts of events and keys, which this suite would see.
    private static let telling: Set<String> = [
        "GET /api/v1/events", "GET /api/v1/events/{id}", "GET /api/v1/events/counts", "GET /api/v1/events/export",
        "GET /api/v1/analytics/timeseries", "GET /api/v1/analytics/topn", "POST /api/v1/analytics/people", "GET /api/v1/schema",
        "GET /api/v1/users/{id}", "GET /api/v1/erasures", "GET /api/v1/projects/{project}", "GET /api/v1/projects/{project}/keys",
        "GET /graphite/metrics/find",
    ]

    @Test func `a route takes keys of its scope, as the document says, and no others`() async throws {
        let place = try await Place(keys)
        let shown = try await place.run { client in
            let document = try await Document(client)
            var shown: Set<String> = []
            for route in place.routes {
                let role = try document.role(of: route)
                #expect((role == nil) == Self.open.contains(route.name), "\(route.name)")
                guard let role else { continue }
                for sent in owned(route) {
                    for scope in Scope.allCases {
                        guard Scope(rawValue: role).map({ scope.granted.contains($0) }) != true else {
                            guard !route.isEndless else { continue }
                            let answer = try await client.send(sent, keys.victim[scope]!.text)
                            #expect(answer.status.kind == .successful, "\(scope) \(sent.text) \(answer.text)")
                            if !leaked(by: answer, to: sent).isEmpty { shown.insert(route.name) }
                            continue
                        }
                        for method in sent.methods {
                            let answer = try await client.send(sent.with(method), keys.victim[scope]!.text)
                            #expect(answer.status == .forbidden, "\(scope) \(method) \(sent.text) \(answer.text)")
                            #expect(method == .head || answer.code == "insufficient_scope", "\(sent.text)")
                            #expect(leaked(by: answer, to: sent).isEmpty, "\(sent.text)")
                        }
                    }
                    // The token of the instance manages projects, and is of none.
                    guard route.method == .get || role == Document.instance else { continue }
                    let answer = try await client.send(sent, Place.token)
                    let isManaged = route.path.hasPrefix("/api/v1/projects")
                    #expect(isManaged ? answer.status.kind == .successful : answer.status == .forbidden, "\(sent.text) \(answer.text)")
                }
            }
            return shown
        }
        #expect(Self.telling.isSubset(of: shown), "\(Self.telling.subtracting(shown))")
    }

    @Test func `a key in the URL is one only where events are sent`() async throws {
        let place = try await Place(keys)
        try await place.run { client in
            let document = try await Document(client)
            for route in place.routes {
                guard let role = try document.role(of: route), let scope = Scope(rawValue: role) else { continue }
                #expect(document.takesQuery(route) == (scope == .write), "\(route.name)")
                for sent in owned(route) {
                    let uri = sent.uri + (sent.uri.contains("?") ? "&" : "?") + "key=" + keys.victim[scope]!.text
                    let answer = try await client.send(sent.at(uri))
                    #expect(scope == .write ? answer.status.kind == .successful : answer.status == .unauthorized, "\(uri) \(answer.text)")
                }
            }
        }
    }

    // MARK: A key of another project

    /// Nothing of the victim is in an answer, neither as text nor as a number: the same requests go to a service that never had a
    /// victim, and get the same answers.
    @Test func `a key of another project gets what it would get if the victim did not exist`() async throws {
        let (place, other) = (try await Place(keys), try await Place(keys, hasVictim: false))
        let cursors = try await warm(place)
        let before = try await place.stored("victim")
        try await place.run { client in
            try await other.run { control in
                var written: Set<String> = []
                for route in place.routes where !route.isEndless {
                    for sent in attacks(route, cursors) {
                        let answer = try await client.send(sent, keys.own.text)
                        let expected = try await control.send(sent, keys.own.text)
                        if sent.method != .get { written.formUnion(marked(sent.text)) }
                        #expect(leaked(by: answer, to: sent).isSubset(of: written), "\(sent.text)\n\(answer.whole)")
                        #expect(answer.status == expected.status, "\(sent.text)\n\(answer.text)\n\(expected.text)")
                        if sent.uri.hasPrefix("/api/v1/projects/victim") { #expect(answer.status == .notFound, "\(sent.text)") }
                        // A key that was just made is random.
                        if sent.uri.contains("/keys"), answer.status.kind == .successful { continue }
                        #expect(answer.whole == expected.whole, "\(sent.text)")
                    }
                }
            }
        }
        let after = try await place.stored("victim")
        #expect(after == before && before.events.count >= 3 && before.keys.count >= 5)
    }

    @Test func `a stream of live events has those of its key's project`() async throws {
        let place = try await Place(keys)
        try await place.application.test(.live) { client in
            let port = try #require(client.port)
            func listen(_ key: APIKey) async throws -> String {
                let head = "GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(key.text)\r\n\r\n"
                return try await RawConnection(port: port).exchange([head], until: "]}\n\n").text
            }
            let (victim, own) = (try await listen(keys.victim[.read]!), try await listen(keys.own))
            #expect(marked(victim).contains("zqxtype") && own.contains("owntype") && marked(own).isEmpty, "\(own)")
        }
    }

    /// The victim asks all its questions, so that its answers are in the caches, and sends events with an idempotency key. Returns
    /// cursors of its pages.
    private func warm(_ place: Place) async throws -> (events: String, people: String) {
        try await place.run { client in
            for route in place.routes where !route.isEndless && route.method != .delete && !route.path.hasPrefix("/api/v1/projects") {
                for sent in owned(route) { _ = try await client.send(sent, keys.admin.text) }
            }
            let events = try await client.send(Sent(.get, "/api/v1/events?limit=1"), keys.admin.text)
            let people = try await client.send(
                Sent(.post, "/api/v1/analytics/people", .json, #"{"question":"uniques","parameters":{},"limit":1}"#), keys.admin.text)
            return (try #require(events.json["nextCursor"] as? String), try #require(people.json["nextCursor"] as? String))
        }
    }

    // MARK: Requests

    /// What the victim sends to a route.
    private func owned(_ route: Route) -> [Sent] {
        let ids = [
            ("/rotate", keys.spare.digest.keyID), ("/keys/", keys.doomed.digest.keyID), ("/events/", "zqxeventa"), ("/users/", "zqxuser"),
            ("/erasures/", "zqxerasure"), ("/tags/", "type"),
        ]
        let id = ids.first(where: { route.path.contains($0.0) })?.1 ?? "zqx"
        let paths = Self.paths(route.path) { $0 == "{project}" ? ["victim"] : [id] }
        return paths.flatMap { path in Example.of(route.name).map { Sent(route.method, path, $0) } }
    }

    /// What a caller sends that knows the victim's name, ids and cursors.
    private func attacks(_ route: Route, _ cursors: (events: String, people: String)) -> [Sent] {
        let ids = ["zqxeventa", "zqxuser", "zqxdevice", "zqxerasure", "type", keys.spare.digest.keyID]
        var examples = Example.of(route.name) + [Example()]
        switch route.name {
        case "GET /api/v1/events", "GET /api/v1/events/export": examples.append(Example("cursor=" + cursors.events))
        case "POST /api/v1/analytics/people":
            examples.append(.json(#"{"question":"uniques","parameters":{},"cursor":"\#(cursors.people)"}"#))
        default: break
        }
        let paths = Self.paths(route.path) { $0 == "{project}" ? ["victim", "shop"] : ids }
        return paths.flatMap { path in examples.map { Sent(route.method, path, $0) } }
    }

    /// The pattern with each of the values that its parameters may have.
    private static func paths(_ pattern: String, _ values: (Substring) -> [String]) -> [String] {
        pattern.split(separator: "/").reduce([""]) { paths, part in
            let texts = part.hasPrefix("{") ? values(part) : [String(part)]
            return paths.flatMap { path in texts.map { "\(path)/\($0)" } }
        }
    }

    // MARK: Marked texts

    /// What an answer shows of the victim, beside what its caller knows.
    private func leaked(by answer: TestResponse, to sent: Sent) -> Set<String> { marked(answer.whole).subtracting(marked(sent.text)) }

    private func marked(_ text: String) -> Set<String> {
        Set(text.matches(of: #/zqx[a-z]*/#).map { String($0.output) } + keys.secrets.filter { text.contains($0) })
    }
}

/// The same keys for all services of a test, so that their answers can be compared.
private struct Keyring {
    let victim = Dictionary(uniqueKeysWithValues: Scope.allCases.map { ($0, APIKey(project: "victim", scope: $0)) })
    let revoked = APIKey(project: "victim", scope: .admin)
    let expired = APIKey(project: "victim", scope: .admin)
    /// Never stored.
    let unknown = APIKey(project: "victim", scope: .admin)
    /// Stored, and never sent: their ids are in paths.
    let spare = APIKey(project: "victim", scope: .write)
    let doomed = APIKey(project: "victim", scope: .write)
    /// The other project's.
    let own = APIKey(project: "shop", scope: .admin)

    var admin: APIKey { victim[.admin]! }

    /// What lists and answers show of the victim's keys.
    var secrets: [String] { (Array(victim.values) + [revoked, expired, spare, doomed]).flatMap { [$0.digest.keyID, $0.prefix] } }
}

/// The API over a store in memory with the projects `victim` and `shop`.
private struct Place {
    static let token = "the-administrator-of-the-instance"

    let store: MemoryStore
    let settings = APISettings(port: 0, allowedHosts: ["x"])
    let services: APIServices

    init(_ keys: Keyring, hasVictim: Bool = true) async throws {
        let (store, publisher) = (MemoryStore(), FakePublisher())
        self.store = store
        publisher.state.withLock { $0.store = store }
        let (clock, elapsed, gate, directory) = (WallClock.fixed(noon), ManualClock().elapsed, QueryGate(), ProjectDirectory())
        let access = AccessServices(
            keys: Keys(store: store, clock: clock), projects: Projects(store: store, clock: clock), directory: directory,
            rates: RateLimiter(projects: directory))
        services = APIServices(
            collector: Collector(
                publisher: publisher, limits: EventLimits(), horizons: IngestHorizons(firstRetentionDays: 0), clock: clock,
                ids: Self.ids()),
            reader: EventReader(store: store, gate: gate), engine: QueryEngine(store: store, cache: UnboundedCache(), gate: gate),
            pipeline: PipelineReader(store: store, gate: gate, clock: clock), storedWait: StorageWaiter(store: store),
            erasures: Erasures(store: store, clock: clock, ids: Self.ids()), clock: clock,
            // The stored keys have closed access without one.
            authenticator: KeyAccess(
                directory: KeyDirectory(store: store, clock: clock, elapsed: elapsed, logger: quiet),
                latch: AnonymousLatch(store: store, elapsed: elapsed), allowsAnonymous: true, adminToken: Self.token),
            access: access, readiness: { Readiness([]) },
            metrics: { Array("events 7\nevents{project=\"zqxmetric\"} 3\n".utf8) })
        try await fill("shop", "own")
        try await keep(keys.own, of: "shop", "own")
        if hasVictim {
            try await fill("victim", "zqx")
            for key in Array(keys.victim.values) + [keys.spare, keys.doomed] { try await keep(key, of: "victim", "zqx") }
            try await keep(keys.revoked, of: "victim", "zqx") { $0.revokedAt = noon - .seconds(60) }
            try await keep(keys.expired, of: "victim", "zqx") { $0.expiresAt = noon }
        }
        directory.take(try await store.projectRecords())
    }

    /// Ids of one length, in the order in which they are made.
    private static func ids() -> IDGenerator {
        let number = Counting()
        return IDGenerator { "id-\(1_000_000 + number.next())" }
    }

    private func fill(_ project: ProjectID, _ mark: String) async throws {
        let events = [(2, "a"), (3_600, "b"), (90_000, "c")].map { age, letter in
            let time = noon - .seconds(age)
            let user = letter == "c" ? "second" : "user"
            let event = Event(
                project: project, id: "\(mark)event\(letter)", type: "\(mark)type", source: "\(mark)source", timestamp: time,
                data: JSONText(normalised: #"{"\#(mark)key":"\#(mark)value","path":"/\#(mark)path"}"#), correlationId: "\(mark)correlation",
                metadata: JSONText(normalised: #"{"\#(mark)meta":"\#(mark)data"}"#),
                userId: "\(mark)\(user)",
                anonymousId: "\(mark)device", sessionId: "\(mark)session", receivedAt: time, ingestID: "\(mark)ingest:\(age)")
            return StoredEvent(
                event: event, processedAt: time, context: JSONText(normalised: #"{"\#(mark)context":"\#(mark)place"}"#), fingerprint: 1)
        }
        try await store.process(events)
        _ = try await store.createProject(project, at: noon)
        try await store.setTitle(of: project, to: "\(mark)title")
        let erasures = Erasures(store: store, clock: .fixed(noon), ids: IDGenerator { "\(mark)erasure" })
        _ = try await erasures.request(Selection(project: project, userIds: ["\(mark)gone"]))
        var counts = PipelineCounts()
        counts.accepted = 3
        try await store.write([
            PipelineCell(project: project, minute: noon.minute - 2, writer: "\(mark)writer", revision: 1, counts: counts)
        ])
    }

    private func keep(
        _ key: APIKey, of project: ProjectID, _ mark: String, _ change: (inout StoredKey) -> Void = { _ in }
    ) async throws {
        var stored = StoredKey(
            digest: key.digest, project: project, scope: key.scope, name: "\(mark)name", prefix: key.prefix, maker: "\(mark)maker",
            createdAt: noon - .seconds(3_600))
        change(&stored)
        try await store.createKey(stored)
    }

    var routes: [Route] { RouteTable(services: services, settings: settings).routes }

    var application: some ApplicationProtocol { makeApplication(services: services, settings: settings, logger: TestService.quiet) }

    func run<Value>(_ test: @Sendable (any TestClientProtocol) async throws -> Value) async throws -> Value {
        try await application.test(.router, test)
    }

    struct Stored: Equatable {
        var records: [ProjectRecord]
        var keys: [StoredKey]
        var erasures: [Int64]
        var events: [String]
    }

    func stored(_ project: ProjectID) async throws -> Stored {
        Stored(
            records: try await store.newestRecords(of: [project]), keys: try await store.keys(of: project),
            erasures: try await store.erasures(of: project).map(\.revision),
            events: store.events.filter { $0.event.project == project }.map(\.event.id))
    }
}

/// What the document says of keys.
private struct Document {
    /// The role of the bearer of `ADMIN_TOKEN`.
    static let instance = "instance"

    private let paths: [String: [String: [String: Any]]]

    init(_ client: any TestClientProtocol) async throws {
        let json = try await client.get("/openapi.json").json
        paths = try #require(json["paths"] as? [String: [String: [String: Any]]])
    }

    private func security(of route: Route) throws -> [[String: [String]]] {
        let operation = try #require(paths[route.path]?[route.method.rawValue.lowercased()], "\(route.name)")
        return try #require(operation["security"] as? [[String: [String]]], "\(route.name)")
    }

    /// The scope that a key needs; `nil` for a route that needs no key.
    func role(of route: Route) throws -> String? {
        let security = try security(of: route)
        guard !security.isEmpty, !security.contains(where: \.isEmpty) else { return nil }
        let roles = Set(security.flatMap(\.values).flatMap { $0 })
        #expect(roles.count == 1, "\(route.name)")
        return roles.first
    }

    func takesQuery(_ route: Route) -> Bool { (try? security(of: route))?.contains { $0["query"] != nil } == true }
}

extension Route {
    fileprivate var name: String { "\(method.rawValue) \(path)" }

    /// Its answer ends with the connection.
    fileprivate var isEndless: Bool { path == "/api/v1/live" }
}

/// How a request carries a key.
private enum Carrier: CaseIterable {
    case bearer, header, basic

    func field(_ key: String) -> HTTPField {
        switch self {
        case .bearer: HTTPField(name: .authorization, value: "Bearer \(key)")
        case .header: HTTPField(name: .xAPIKey, value: key)
        case .basic: HTTPField(name: .authorization, value: "Basic \(Data("\(key):x".utf8).base64EncodedString())")
        }
    }
}

/// A request without a key.
private struct Sent {
    var method: HTTPRequest.Method
    var uri: String
    var headers: HTTPFields
    var body: String?

    init(_ method: HTTPRequest.Method, _ uri: String, _ headers: HTTPFields = [:], _ body: String? = nil) {
        self.method = method
        self.uri = uri
        self.headers = headers
        self.body = body
    }

    init(_ method: HTTPRequest.Method, _ path: String, _ example: Example) {
        self.init(method, path + (example.query.isEmpty ? "" : "?" + example.query), example.headers, example.body)
    }

    /// What its sender knows.
    var text: String { ([uri, body ?? ""] + headers.map(\.value)).joined(separator: "\n") }

    var methods: [HTTPRequest.Method] { method == .get ? [.get, .head] : [method] }

    func with(_ method: HTTPRequest.Method) -> Sent { Sent(method, uri, headers, body) }
    func with(_ headers: HTTPFields) -> Sent { Sent(method, uri, headers, body) }
    func at(_ uri: String) -> Sent { Sent(method, uri, headers, body) }
}

extension HTTPFields {
    fileprivate static let json: HTTPFields = [.contentType: "application/json"]
}

extension TestClientProtocol {
    fileprivate func send(_ sent: Sent, _ key: String? = nil, as carrier: Carrier = .bearer) async throws -> TestResponse {
        var headers = sent.headers
        if let key { headers.append(carrier.field(key)) }
        return try await executeRequest(
            uri: sent.uri, method: sent.method, headers: headers, body: sent.body.map { ByteBuffer(string: $0) })
    }
}

extension TestResponse {
    /// Status line, headers and body, without the numbers of ids that the service has made.
    fileprivate var whole: String {
        let fields = headers.map { "\($0.name.rawName): \($0.value)" }.sorted()
        return (["\(status.code) \(status.reasonPhrase)"] + fields + ["", text]).joined(separator: "\n")
            .replacing(#/id-[0-9]+/#, with: "id")
    }
}

/// A request that a route answers to its project's owner.
private struct Example {
    var query: String
    var body: String?
    var headers: HTTPFields

    init(_ query: String = "", body: String? = nil, headers: HTTPFields = [:]) {
        self.query = query
        self.body = body
        self.headers = headers
    }

    static func json(_ body: String, _ query: String = "", headers: HTTPFields = [:]) -> Example {
        var headers = headers
        headers[.contentType] = "application/json"
        return Example(query, body: body, headers: headers)
    }

    private static func form(_ body: String) -> Example {
        Example(body: body, headers: [.contentType: "application/x-www-form-urlencoded"])
    }

    /// A route that is not named has one without a query and a body. The test of scopes fails if its owner gets no answer to that.
    static func of(_ route: String) -> [Example] {
        let known = sending(route) ?? asking(route) ?? graphite(route) ?? managing(route) ?? []
        return known.isEmpty ? [Example()] : known
    }

    private static func sending(_ route: String) -> [Example]? {
        let event = #"{"id":"zqxeventa","type":"t","source":"s","data":{}}"#
        let unnamed = #"{"type":"t","source":"s","data":{}}"#
        switch route {
        case "POST /api/v1/events":
            return [.json(event, "wait=stored"), .json(unnamed, "wait=stored", headers: [.idempotencyKey: "zqxkey"])]
        case "POST /api/v1/events/batch":
            return [.json("[\(event)]", "wait=stored"), .json("[\(unnamed)]", headers: [.idempotencyKey: "zqxkey"])]
        case "POST /api/v1/identify": return [.json(#"{"userId":"zqxuser","anonymousId":"zqxdevice"}"#)]
        case "POST /ingest":
            return [
                .json(#"{"event_id":"zqxeventb","user_id":"zqxuser","event_name":"t","event_time":"2026-03-01T11:00:00Z","payload":{}}"#)
            ]
        case "POST /event":
            return [.json(#"{"site_id":"s","event_type":"t","path":"/","user_id":"zqxuser","timestamp":"2026-03-01T11:00:00Z"}"#)]
        default: return nil
        }
    }

    private static func asking(_ route: String) -> [Example]? {
        let steps = #""steps":[{"types":["zqxtype"]},{"types":["zqxother"]}]"#
        switch route {
        case "GET /api/v1/events":
            return [
                Example(), Example("limit=1"), Example("type=zqxtype&userId=zqxuser&correlationId=zqxcorrelation&data.zqxkey=zqxvalue"),
            ]
        case "GET /api/v1/events/counts": return [Example(), Example("groupBy=source")]
        case "GET /api/v1/events/export":
            return [Example(), Example("format=csv"), Example("afterTimestamp=2026-03-01T11:59:58Z&afterId=zqxeventa")]
        case "GET /api/v1/analytics/timeseries", "GET /analytics/timeseries":
            return [Example("groupBy=type"), Example("metric=users"), Example("groupBy=data.zqxkey")]
        case "GET /api/v1/analytics/topn", "GET /analytics/topn":
            return [Example("dimension=type"), Example("dimension=userId"), Example("dimension=data.zqxkey&metric=users")]
        case "GET /api/v1/analytics/paths": return [Example("start=zqxtype")]
        case "POST /api/v1/analytics/funnels": return [.json("{\(steps)}")]
        case "POST /api/funnels": return [.json(#"{"steps":["zqxtype","zqxother"]}"#)]
        case "POST /api/v1/analytics/retention": return [.json(#"{"interval":"day"}"#)]
        case "POST /api/v1/analytics/people":
            return [
                .json(#"{"question":"uniques","parameters":{}}"#), .json(#"{"question":"funnels","step":1,"body":{\#(steps)}}"#),
            ]
        case "GET /api/trends": return [Example(), Example("event=zqxtype")]
        case "GET /stats": return [Example("site_id=zqxsource&date=2026-03-01")]
        case "GET /api/v1/users/{id}": return [Example(), Example("limit=100")]
        case "DELETE /api/v1/users/{id}": return [Example("type=zqxtype")]
        case "POST /api/v1/erasures": return [Example("userId=zqxuser&type=zqxtype")]
        default: return nil
        }
    }

    private static func graphite(_ route: String) -> [Example]? {
        switch route {
        case "GET /graphite/render": return [Example("target=*.*.*"), Example("target=victim.*.*&from=-2d")]
        case "POST /graphite/render": return [form("target=*.*.*&from=-2d")]
        case "GET /graphite/metrics/find": return [Example("query=*"), Example("query=*.*"), Example("query=victim.*")]
        case "POST /graphite/metrics/find": return [form("query=*.*")]
        case "GET /graphite/metrics/expand": return [Example("query=*.*"), Example("query=victim.*.*")]
        case "GET /graphite/tags/autoComplete/values": return [Example("tag=type"), Example("tag=project")]
        default: return nil
        }
    }

    private static func managing(_ route: String) -> [Example]? {
        switch route {
        case "POST /api/v1/projects": return [.json(#"{"id":"new"}"#)]
        case "PATCH /api/v1/projects/{project}": return [.json(#"{"visitorIds":true}"#)]
        case "POST /api/v1/projects/{project}/keys": return [.json(#"{"scope":"read"}"#)]
        case "POST /api/v1/projects/{project}/keys/{id}/rotate": return [.json(#"{"overlapSeconds":60}"#)]
        default: return nil
        }
    }
}
