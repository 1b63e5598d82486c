package import AnalyticsCore
package import AnalyticsJSON
internal import Synchronization

extension MemoryStore {
    package func scanEvents<Reducer: EventScanReducer>(
        _ selection: Selection, in ranges: [Range<Timestamp>], reading paths: [PropertyPath], into reducer: Reducer
    ) async throws(StoreError) -> Reducer {
        try await read("scanEvents") { (snapshot) async throws(StoreError) in
            let selected = try await snapshot.select(selection, "scanEvents") { event in ranges.contains { $0.contains(event.timestamp) } }
            let properties = PropertyReader(paths)
            var reducer = reducer
            for (number, stored) in selected.sorted(by: { Self.newestFirst($1, $0) }).enumerated() {
                if number.isMultiple(of: 256) { try Self.checkCaller("scanEvents") }
                let texts: [PropertyPath.Root: JSONText?] = [.data: stored.event.data, .context: stored.context]
                guard let values = try? properties.values({ root in texts[root]?.map { PaddedBytes($0.text) } }) else {
                    throw StoreError(.misconfigured, operation: "scanEvents", "no JSON")
                }
                self.state.withLock { $0.scannedEvents += 1 }
                guard reducer.add(ScannedEvent(stored.event, values: values)) else { break }
            }
            return reducer
        }
    }
}

extension ScannedEvent {
    package init(_ event: Event, values: [[JSONScalar]]) {
        self.init(
            timestamp: event.timestamp, id: event.id, type: event.type, source: event.source, userId: event.userId,
            anonymousId: event.anonymousId, visitorId: event.visitorId, sessionId: event.sessionId, values: values)
    }
}
