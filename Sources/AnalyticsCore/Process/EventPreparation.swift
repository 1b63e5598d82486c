internal import AnalyticsJSON

/// Makes of a delivery what a flush writes: decodes and enriches its events. Not thread-safe: one per task.
final class EventPreparation {
    let enrichments: [Enrichment]
    let clock: WallClock

    private let decoder = ChunkDecoder()
    private var parser = JSONParser()

    init(enrichments: [Enrichment], clock: WallClock) {
        self.enrichments = enrichments
        self.clock = clock
    }

    func callAsFunction(_ delivery: Delivery) throws(ChunkError) -> Flush.Entry {
        let chunk = try decoder.decode(delivery.body)
        return Flush.Entry(
            handle: delivery.handle, redeliveries: delivery.redeliveries, events: enriched(chunk), sender: chunk.sender,
            waitingRequest: chunk.waitingRequest, bytes: delivery.body.count)
    }

    private func enriched(_ chunk: EventChunk) -> [StoredEvent] {
        let now = clock.now()
        return chunk.events.map { event in
            let hints = ClientHints(event, sender: chunk.sender, parser: &parser)
            let input = EnrichmentInput(event: event, processedAt: now, hints: hints)
            var context = EventContext()
            for enrichment in enrichments { enrichment.apply(input, &context) }
            return StoredEvent(event: event, processedAt: now, context: context.json, fingerprint: event.fingerprint)
        }
    }
}
