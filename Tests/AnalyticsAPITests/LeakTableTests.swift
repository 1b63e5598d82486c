import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import TestSupport
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// Every route of the table, with every kind of key and session that must get nothing from it. All texts that the project `victim` stores
/// begin with `zqx`, and so do the addresses of its people and the texts in the labels of metrics. It is noon.
///
/// A route without a declared kind does not compile: every initialiser of ``Route`` names who may use it.
@Suite(.timeLimit(.minutes(5)))
struct LeakTableTests {
    let keys = Keyring()

    /// Routes that need no credential. Each shows nothing of a project.
    private static let open: Set<String> = [
        "GET /api/v1/auth/oidc", "GET /api/v1/auth/oidc/callback", "GET /docs", "GET /health/live", "GET /health/ready", "GET /metrics",
        "GET /openapi.json", "POST /api/v1/auth/accept", "POST /api/v1/auth/sign-in",
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
            for person in Person.allCases where person != .root {
                let answer = try await client.send(sent, session: place.sessions[person])
                #expect(answer.text.contains("events 7") && !answer.text.contains("zqx"), "\(person) \(answer.text)")
            }
            for all in [try await client.send(sent, Place.token), try await client.send(sent, session: place.sessions[.root])] {
                #expect(all.text.contains("events 7") && all.text.contains("zqxmetric"))
            }
        }
    }

    // MARK: Keys of the project, with a scope or without

    /// Routes whose answers show texts of events and keys, which this suite would see.
    private static let telling: Set<String> = [
        "GET /api/v1/events", "GET /api/v1/events/{id}", "GET /api/v1/events/counts", "GET /api/v1/events/export",
        "GET /api/v1/analytics/timeseries", "GET /api/v1/analytics/topn", "POST /api/v1/analytics/people", "GET /api/v1/schema",
        "GET /api/v1/users/{id}", "GET /api/v1/erasures", "GET /api/v1/projects/{project}", "GET /api/v1/projects/{project}/keys",
        "GET /api/v1/projects/{project}/members", "GET /api/v1/audit", "GET /graphite/metrics/find",
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
                #expect(document.takesSession(route), "\(route.name)")
                for sent in owned(route) {
                    for scope in Scope.allCases {
                        let isTaken = Scope(rawValue: role).map { scope.granted.contains($0) } ?? (role == Document.anyone)
                        guard !isTaken else {
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
                    // The token of the instance manages projects, and is of none, and of no person.
                    guard route.method == .get || role == Document.instance else { continue }
                    let answer = try await client.send(sent, Place.token)
                    let mayUse = route.scope == nil && role != Document.account
                    #expect(mayUse ? answer.status.kind == .successful : answer.status == .forbidden, "\(sent.text) \(answer.text)")
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

    // MARK: A key or a session of another project

    /// Nothing of the victim is in an answer, neither as text nor as a number: the same requests go to a service that never had a
    /// victim, and get the same answers.
    @Test func `a key of another project gets what it would get if the victim did not exist`() async throws {
        let (place, other) = (try await Place(keys), try await Place(keys, hasVictim: false))
        let cursors = try await warm(place)
        let requests = place.routes.filter { !$0.isEndless }.flatMap { attacks($0, cursors) }
        try await compare(place, other, requests) { [keys] client, _, sent in try await client.send(sent, keys.own.text) }
    }

    @Test func `a session of another project's owner gets what it would get if the victim did not exist`() async throws {
        let (place, other) = (try await Place(keys), try await Place(keys, hasVictim: false))
        let cursors = try await warm(place)
        // It goes on with its session.
        let routes = place.routes.filter { !$0.isEndless && $0.name != "POST /api/v1/auth/sign-out" }
        let naming = routes.flatMap(owned).flatMap { sent -> [Sent] in
            var headers = sent.headers
            headers[.xProject] = "victim"
            return [sent.with(headers), sent.at(sent.uri + (sent.uri.contains("?") ? "&" : "?") + "project=victim")]
        }
        try await compare(place, other, routes.flatMap { attacks($0, cursors) } + naming) { client, place, sent in
            try await client.send(sent, session: place.sessions[.own])
        }
    }

    private func compare(
        _ place: Place, _ other: Place, _ requests: [Sent],
        _ send: @escaping @Sendable (any TestClientProtocol, Place, Sent) async throws -> TestResponse
    ) async throws {
        let before = try await place.stored("victim")
        try await place.run { client in
            try await other.run { control in
                var written: Set<String> = []
                for sent in requests {
                    let answer = try await send(client, place, sent)
                    let expected = try await send(control, other, sent)
                    if sent.method != .get { written.formUnion(marked(sent.text)) }
                    #expect(leaked(by: answer, to: sent).isSubset(of: written), "\(sent.text)\n\(answer.whole)")
                    #expect(answer.status == expected.status, "\(sent.text)\n\(answer.text)\n\(expected.text)")
                    // These routes take no parameter: 400 for each caller.
                    if sent.uri.hasPrefix("/api/v1/projects/victim"), !sent.uri.hasSuffix("project=victim") {
                        #expect(answer.status == .notFound, "\(sent.text)")
                    }
                    // Keys and secrets that were just made are random, and so is the order of sessions of one moment.
                    let isRandom = ["/keys", "/auth/totp", "/auth/sessions"].contains { sent.uri.contains($0) }
                    #expect((isRandom && answer.status.kind == .successful) || answer.settled == expected.settled, "\(sent.text)")
                }
            }
        }
        let after = try await place.stored("victim")
        #expect(after == before && before.events.count >= 3 && before.keys.count >= 5 && before.members.count >= 6)
    }

    @Test func `a stream of live events has those of its caller's project`() async throws {
        let place = try await Place(keys)
        try await place.application.test(.live) { client in
            let port = try #require(client.port)
            func listen(_ path: String, _ header: String) async throws -> RawConnection.Transcript {
                let head = "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(header)\r\n\r\n"
                return try await RawConnection(port: port).exchange([head], until: "]}\n\n")
            }
            let victim = try await listen("/api/v1/live", "Authorization: Bearer \(keys.victim[.read]!.text)").text
            let own = try await listen("/api/v1/live", "Authorization: Bearer \(keys.own.text)").text
            #expect(marked(victim).contains("zqxtype") && own.contains("owntype") && marked(own).isEmpty, "\(own)")
            for (person, status) in [(Person.viewer, 200), (.own, 404), (.disabled, 401), (.ended, 401)] {
                let token = try #require(place.sessions[person])
                let answer = try await listen("/api/v1/live?project=victim", "Cookie: analytics_session=\(token)")
                #expect(answer.status == status && marked(answer.text).isEmpty == (status != 200), "\(person) \(answer.text)")
            }
        }
    }

    // MARK: Sessions of the project, with a role that is too small, or ended

    @Test func `a viewer reads the project, and neither writes to it nor manages it`() async throws {
        let place = try await Place(keys)
        try await place.run { client in
            for route in place.routes where !Self.open.contains(route.name) && !route.isPersonal {
                for sent in owned(route) {
                    if route.scope == .read {
                        guard !route.isEndless else { continue }
                        let answer = try await client.send(sent, session: place.sessions[.viewer])
                        #expect(answer.status.kind == .successful, "\(sent.text) \(answer.text)")
                        continue
                    }
                    for method in sent.methods {
                        let answer = try await client.send(sent.with(method), session: place.sessions[.viewer])
                        #expect(answer.status == .forbidden, "\(method) \(sent.text) \(answer.text)")
                        #expect(method == .head || answer.code == "insufficient_scope", "\(sent.text)")
                        #expect(leaked(by: answer, to: sent).isEmpty, "\(sent.text)")
                    }
                }
            }
        }
    }

    @Test(arguments: [Person.disabled, .ended]) func `a session of a disabled account, and one that has ended, open nothing`(
        person: Person
    ) async throws {
        let place = try await Place(keys)
        // Each request reads the session again, and so many are limited.
        try await place.run { client in
            for sent in place.routes.filter({ !Self.open.contains($0.name) }).flatMap(owned) {
                for method in sent.methods {
                    let answer = try await client.send(sent.with(method), session: place.sessions[person])
                    place.time.advance(by: .seconds(1))
                    #expect(answer.status == .unauthorized, "\(method) \(sent.text) \(answer.text)")
                    #expect(method == .head ? answer.body.readableBytes == 0 : answer.code == "invalid_session", "\(sent.text)")
                    #expect(answer.headers[.wwwAuthenticate]?.hasPrefix("Bearer") == true, "\(sent.text)")
                    #expect(leaked(by: answer, to: sent).isEmpty, "\(sent.text)")
                }
            }
        }
    }

    /// The victim asks all its questions, so that its answers are in the caches, and sends events with an idempotency key. Returns
    /// cursors of its pages.
    private func warm(_ place: Place) async throws -> (events: String, people: String) {
        try await place.run { client in
            let asked = place.routes.filter { !$0.isEndless && $0.method != .delete && !$0.isPersonal }
            for route in asked where !route.path.hasPrefix("/api/v1/projects") {
                for sent in owned(route) { _ = try await client.send(sent, keys.admin.text) }
            }
            let events = try await client.send(Sent(.get, "/api/v1/events?limit=1"), keys.admin.text)
            let people = try await client.send(
                Sent(.post, "/api/v1/analytics/people", .json, #"{"question":"uniques","parameters":{},"limit":1}"#), keys.admin.text)
            return (try #require(events.json["nextCursor"] as? String), try #require(people.json["nextCursor"] as? String))
        }
    }
}
