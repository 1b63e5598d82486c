import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Testing

@testable import AnalyticsAPI
@testable import AnalyticsCore

/// What the document says of keys.
struct Document {
    /// The role of the bearer of `ADMIN_TOKEN`, and of administrators of the instance.
    static let instance = "instance"
    /// The role of a person with a session.
    static let account = "account"
    /// The role of everybody who has a credential.
    static let anyone = "anyone"

    private let paths: [String: [String: [String: Any]]]

    init(_ client: any TestClientProtocol) async throws {
        let json = try await client.get("/openapi.json").json
        paths = try #require(json["paths"] as? [String: [String: [String: Any]]])
    }

    private func security(of route: Route) throws -> [[String: [String]]] {
        let operation = try #require(paths[route.path]?[route.method.rawValue.lowercased()], "\(route.name)")
        return try #require(operation["security"] as? [[String: [String]]], "\(route.name)")
    }

    /// The scope that a key needs, or another role; `nil` for a route that needs no key.
    func role(of route: Route) throws -> String? {
        let security = try security(of: route)
        guard !security.isEmpty, !security.contains(where: \.isEmpty) else { return nil }
        let roles = Set(security.flatMap(\.values).flatMap { $0 })
        guard !roles.isEmpty else { return security.contains { $0["bearer"] != nil } ? Self.anyone : Self.account }
        #expect(roles.count == 1, "\(route.name)")
        return roles.first
    }

    func takesQuery(_ route: Route) -> Bool { takes("query", route) }
    func takesSession(_ route: Route) -> Bool { takes("session", route) }

    private func takes(_ scheme: String, _ route: Route) -> Bool { (try? security(of: route))?.contains { $0[scheme] != nil } == true }
}

extension Route {
    var name: String { "\(method.rawValue) \(path)" }

    /// Its answer ends with the connection.
    var isEndless: Bool { path == "/api/v1/live" }

    /// It tells callers about themselves.
    var isPersonal: Bool { path.hasPrefix("/api/v1/auth/") }
}

/// How a request carries a key.
enum Carrier: CaseIterable {
    case bearer, header, basic

    func field(_ key: String) -> HTTPField {
        switch self {
        case .bearer: HTTPField(name: .authorization, value: "Bearer \(key)")
        case .header: HTTPField(name: .xAPIKey, value: key)
        case .basic: HTTPField(name: .authorization, value: "Basic \(Data("\(key):x".utf8).base64EncodedString())")
        }
    }
}

/// A request without a credential.
struct Sent: Sendable {
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
    static let json: HTTPFields = [.contentType: "application/json"]
}

extension TestClientProtocol {
    func send(_ sent: Sent, _ key: String? = nil, as carrier: Carrier = .bearer) async throws -> TestResponse {
        var headers = sent.headers
        if let key { headers.append(carrier.field(key)) }
        return try await execute(sent.with(headers))
    }

    func send(_ sent: Sent, session: String?) async throws -> TestResponse {
        var headers = sent.headers
        for field in HTTPFields.session(try #require(session)) { headers.append(field) }
        return try await execute(sent.with(headers))
    }

    private func execute(_ sent: Sent) async throws -> TestResponse {
        try await executeRequest(
            uri: sent.uri, method: sent.method, headers: sent.headers, body: sent.body.map { ByteBuffer(string: $0) })
    }
}

extension TestResponse {
    /// Status line, headers and body, without the numbers of ids that the service has made.
    var whole: String {
        let fields = headers.map { "\($0.name.rawName): \($0.value)" }.sorted()
        return (["\(status.code) \(status.reasonPhrase)"] + fields + ["", text]).joined(separator: "\n")
            .replacing(#/id-[0-9]+/#, with: "id")
    }

    /// ``whole`` without what is random: tokens, and ids that follow from keys and tokens.
    var settled: String { whole.replacing(#/ev[si]_[0-9A-Za-z]{38}/#, with: "token").replacing(#/[0-9a-f]{20}/#, with: "id") }
}

extension LeakTableTests {
    /// What the victim sends to a route.
    func owned(_ route: Route) -> [Sent] {
        let person: Person = route.method == .delete ? .doomed : .spare
        let ids = [
            ("/rotate", keys.spare.digest.keyID), ("/keys/", keys.doomed.digest.keyID), ("/events/", "zqxeventa"), ("/users/", "zqxuser"),
            ("/erasures/", "zqxerasure"), ("/tags/", "type"), ("/members/", person.id), ("/accounts/", person.id),
        ]
        let id = ids.first(where: { route.path.contains($0.0) })?.1 ?? "zqx"
        let paths = Self.paths(route.path) { $0 == "{project}" ? ["victim"] : [id] }
        return paths.flatMap { path in Example.of(route.name).map { Sent(route.method, path, $0) } }
    }

    /// What a caller sends that knows the victim's name, ids and cursors.
    func attacks(_ route: Route, _ cursors: (events: String, people: String)) -> [Sent] {
        let ids = ["zqxeventa", "zqxuser", "zqxdevice", "zqxerasure", "type", keys.spare.digest.keyID, Person.spare.id]
        var examples = Example.of(route.name) + [Example()]
        switch route.name {
        case "GET /api/v1/events", "GET /api/v1/events/export": examples.append(Example("cursor=" + cursors.events))
        case "POST /api/v1/analytics/people":
            examples.append(.json(#"{"question":"uniques","parameters":{},"cursor":"\#(cursors.people)"}"#))
        // Who adds an address learns whether it has an account, and no more.
        case "POST /api/v1/projects/{project}/members": examples = [.member(.own, .owner), Example()]
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
    func leaked(by answer: TestResponse, to sent: Sent) -> Set<String> { marked(answer.whole).subtracting(marked(sent.text)) }

    func marked(_ text: String) -> Set<String> {
        Set(text.matches(of: #/zqx[a-z]*/#).map { String($0.output) } + keys.secrets.filter { text.contains($0) })
    }
}
