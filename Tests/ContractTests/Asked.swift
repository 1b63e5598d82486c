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

    func ask(_ uri: String) async throws -> [UInt8] {
        let (now, gate) = (now, QueryGate())
        let clock = WallClock { now }
        let services = APIServices(
            collector: Collector(
                publisher: MemoryBroker(), limits: EventLimits(),
                horizons: IngestHorizons(firstRetentionDays: 0), clock: clock, ids: .counting()),
            reader: EventReader(store: store, gate: gate), engine: QueryEngine(store: store, cache: UnboundedCache(), gate: gate),
            storedWait: StorageWaiter(store: store), erasures: Erasures(store: store, clock: clock, ids: .counting()), clock: clock,
            authenticator: AnonymousAccess(), readiness: { Readiness([]) },
            metrics: nil)
        return try await makeApplication(services: services, settings: APISettings(), logger: quiet).test(.router) { client in
            let response = try await client.executeRequest(uri: uri, method: .get, headers: [:], body: nil)
            #expect(response.status == .ok, "\(uri): \(String(buffer: response.body))")
            return Array(response.body.readableBytesView)
        }
    }
}
