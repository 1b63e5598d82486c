internal import AnalyticsJSON

/// Decodes and enriches the events of a delivery for a flush. Not thread-safe: one per task.
final class EventPreparation {
    let enrichments: [Enrichment]
    let clock: WallClock

    private let decoder = EnvelopeDecoder()
    private var parser = JSONParser()

    init(enrichments: [Enrichment], clock: WallClock) {
        self.enrichments = enrichments
        self.clock = clock
    }

    func callAsFunction(_ delivery: Delivery) throws(EnvelopeError) -> Flush.Entry {
        let sections = try decoder.sections(of: delivery.body).map { envelope in
            Flush.Section(events: enriched(envelope), origin: envelope.origin, requestToReport: envelope.requestToReport)
        }
        return Flush.Entry(
            handle: delivery.handle, redeliveries: delivery.redeliveries, sections: sections, bytes: delivery.body.count)
    }

    private func enriched(_ envelope: EventEnvelope) -> [StoredEvent] {
        let now = clock.now()
        return envelope.events.map { event in
            let hints = ClientHints(event, origin: envelope.origin, parser: &parser)
            let input = EnrichmentInput(event: event, processedAt: now, hints: hints)
            var context = EventContext()
            for enrichment in enrichments { enrichment.apply(input, &context) }
            return StoredEvent(event: event, processedAt: now, context: context.json, fingerprint: event.fingerprint)
        }
    }
}
