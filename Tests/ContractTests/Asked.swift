import AnalyticsAPI
import AnalyticsCore
import HTTPTypes
import HummingbirdTesting
import NIOCore
import TestSupport
import Testing

/// Asks over HTTP what a store holds, each time with an empty cache.
struct Asked {
    var store: any Store
    var now: Timestamp

    /// - Parameter question: What a URL has behind the host; of a question that is a JSON object with a space and that behind it.
    func ask(_ question: String) async throws -> [UInt8] {
        let (uri, body) = question.cutUTF8(atFirst: " ").map { (String($0), String($1)) } ?? (question, nil)
        let (now, gate) = (now, QueryGate())
        let clock = WallClock { now }
        let services = APIServices(
            collector: Collector(
                publisher: MemoryBroker(), limits: EventLimits(),
                horizons: IngestHorizons(firstRetentionDays: 0), clock: clock, ids: .counting()),
            reader: EventReader(store: store, gate: gate), engine: QueryEngine(store: store, cache: UnboundedCache(), gate: gate),
            pipeline: PipelineReader(store: store, gate: gate, clock: clock),
            storedWait: StorageWaiter(store: store), erasures: Erasures(store: store, clock: clock, ids: .counting()), clock: clock,
            authenticator: AnonymousAccess(), readiness: { Readiness([]) },
            metrics: nil)
        return try await makeApplication(services: services, settings: APISettings(), logger: quiet).test(.router) { client in
            let response = try await client.executeRequest(
                uri: uri, method: body == nil ? .get : .post, headers: body == nil ? [:] : [.contentType: "application/json"],
                body: body.map { ByteBuffer(string: $0) })
            #expect(response.status == .ok, "\(question): \(String(buffer: response.body))")
            return Array(response.body.readableBytesView)
        }
    }
}
