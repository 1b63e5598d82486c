internal import AnalyticsJSON

/// Decodes a request's body into events. Each event is accepted or rejected individually. Pure: time and ids are passed in.
struct EventDecoder: ~Copyable {
    /// Shared by all events of one request.
    struct Stamp {
        var receivedAt: Timestamp
        /// Identifies the request; an event's ingest id is this and its position.
        var request: String
    }

    struct Output {
        /// `index` is the event's position: that of its item, unless an earlier item made several events.
        var events: [(index: Int, event: Event)] = []
        /// By item index.
        var rejected = Rejections()
    }

    private let limits: EventLimits
    private let horizon: IngestHorizon
    private let ids: IDGenerator
    private var parser = JSONParser()

    init(limits: EventLimits, horizon: IngestHorizon = IngestHorizon(), ids: IDGenerator) {
        self.limits = limits
        self.horizon = horizon
        self.ids = ids
    }

    /// Throws only if the body is not a list of events; errors of single events are in the output.
    mutating func decode(_ request: IngestRequest, stamp: Stamp) throws(IngestError) -> Output {
        try decode(request.format, request, stamp)
    }

    private mutating func decode(
        _ format: some IntakeFormat, _ request: IngestRequest, _ stamp: Stamp
    ) throws(IngestError) -> Output {
        let batch = try format.split(request.body, limit: limits.maximumBatchEvents, parser: &parser)
        let items = batch.items
        guard !items.isEmpty else { throw IngestError(.emptyBatch, "The request holds no event.") }
        var output = Output()
        output.events.reserveCapacity(items.count)
        var drafts: [EventDraft] = []
        var position = 0
        for (index, item) in items.enumerated() {
            drafts.removeAll(keepingCapacity: true)
            do throws(Rejection) {
                try checkSize(item)
                try format.draft(item, of: batch, parser: &parser, into: &drafts)
            } catch {
                drafts.removeAll(keepingCapacity: true)
                output.rejected.append(error.of(index, id: error.id ?? batch.id))
            }
            guard position + drafts.count <= limits.maximumBatchEvents else { throw .tooManyEvents(limits.maximumBatchEvents) }
            for (offset, draft) in drafts.enumerated() {
                do throws(Rejection) {
                    let event = try event(draft, at: position + offset, of: request, stamp: stamp, sentAt: batch.sentAt)
                    output.events.append((position + offset, event))
                } catch {
                    output.rejected.append(error.of(index, id: draft.id))
                }
            }
            // Rejected drafts count too: a retry then has the same positions and derived ids.
            position += max(1, drafts.count)
        }
        return output
    }

    private func checkSize(_ item: Range<Int>) throws(Rejection) {
        guard item.count > limits.maximumEventBytes else { return }
        throw Rejection(
            code: .eventTooLarge, message: "The event has \(item.count) bytes; at most \(limits.maximumEventBytes) are allowed.")
    }

    // MARK: Stamping

    private func event(
        _ draft: EventDraft, at index: Int, of request: IngestRequest, stamp: Stamp, sentAt: Timestamp?
    ) throws(Rejection) -> Event {
        try FieldRules.require(draft.type, "type")
        try FieldRules.require(draft.source, "source")
        let timestamp = try EventTime.decide(
            client: draft.timestamp, sentAt: sentAt, receivedAt: stamp.receivedAt, limits: limits, horizon: horizon)
        let id =
            draft.id
            ?? request.idempotencyKey.map { IDGenerator.derived(project: request.project, key: $0, index: index) } ?? ids.next()
        return Event(
            project: request.project, id: id, type: draft.type ?? "", source: draft.source ?? "", timestamp: timestamp,
            clientTimestamp: draft.timestamp, data: draft.data, correlationId: draft.correlationId, metadata: draft.metadata,
            userId: draft.userId, anonymousId: draft.anonymousId, sessionId: draft.sessionId, receivedAt: stamp.receivedAt,
            ingestID: "\(stamp.request):\(index)")
    }
}

extension Rejection {
    fileprivate func of(_ index: Int, id: String?) -> Rejection {
        var rejection = self
        rejection.index = index
        rejection.id = id
        return rejection
    }
}
