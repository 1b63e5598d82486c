import AnalyticsAPI
import AnalyticsCore
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import Synchronization
import TestSupport

/// The API over fakes: it is 2026-03-01T12:00:00Z, ids are id-1, id-2, …
struct TestService {
    static let now = Timestamp(rfc3339: "2026-03-01T12:00:00Z")!

    let publisher = FakePublisher()
    let store = MemoryStore()
    var limits = EventLimits()
    var queries = QueryGate.Limits()
    var settings = APISettings(allowedHosts: ["x"])
    var readiness = Readiness([.init(name: "broker"), .init(name: "store"), .init(name: "cache", isRequired: false)])
    var authenticator: any Authenticator = AnonymousAccess()
    var visitors: VisitorIdentifier?
    var metrics: (@Sendable () -> [UInt8])? = { Array("# nothing\n".utf8) }

    init() {
        publisher.state.withLock { [store] in $0.store = store }
    }

    var services: APIServices {
        let counter = Mutex(0)
        let ids = IDGenerator {
            counter.withLock { last in
                last += 1
                return "id-\(last)"
            }
        }
        let gate = QueryGate(limits: queries)
        return APIServices(
            collector: Collector(
                publisher: publisher, limits: limits,
                horizons: IngestHorizons(firstRetentionDays: 30), visitors: visitors,
                clock: WallClock { Self.now }, ids: ids),
            reader: EventReader(store: store, gate: gate), engine: QueryEngine(store: store, cache: UnboundedCache(), gate: gate),
            pipeline: PipelineReader(store: store, gate: gate, clock: WallClock { Self.now }),
            storedWait: StorageWaiter(store: store), erasures: Erasures(store: store, clock: WallClock { Self.now }, ids: ids),
            clock: WallClock { Self.now }, authenticator: authenticator,
            readiness: { [readiness] in readiness }, metrics: metrics
        )
    }

    var application: some ApplicationProtocol {
        makeApplication(services: services, settings: settings, logger: Self.quiet)
    }

    static var quiet: Logger {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }

    func run(_ setup: TestingSetup = .router, _ test: @Sendable (any TestClientProtocol) async throws -> Void) async throws {
        try await application.test(setup, test)
    }
}

extension TestClientProtocol {
    func post(_ uri: String, _ body: String, _ headers: HTTPFields = [.contentType: "application/json"]) async throws -> TestResponse {
        try await post(uri, Array(body.utf8), headers)
    }

    func post(_ uri: String, _ body: [UInt8], _ headers: HTTPFields = [.contentType: "application/json"]) async throws -> TestResponse {
        try await executeRequest(uri: uri, method: .post, headers: headers, body: ByteBuffer(bytes: body))
    }

    func get(_ uri: String) async throws -> TestResponse {
        try await executeRequest(uri: uri, method: .get, headers: [:], body: nil)
    }
}

extension TestResponse {
    var text: String { String(buffer: body) }

    var json: [String: Any] { (try? JSONSerialization.jsonObject(with: Data(body.readableBytesView)) as? [String: Any]) ?? [:] }

    var code: String? { json["code"] as? String }

    var isProblem: Bool {
        headers[.contentType] == "application/problem+json" && (json["status"] as? Int) == status.code && json["title"] is String
            && json["detail"] is String && (json["type"] as? String) == "/docs#problem-\(code ?? "")"
    }
}

enum Sample {
    static func event(_ id: String, _ more: String = "") -> String {
        #"{"id":"\#(id)","type":"page_view","source":"web","timestamp":"2026-03-01T11:59:00Z","data":{"n":1}\#(more)}"#
    }
}
