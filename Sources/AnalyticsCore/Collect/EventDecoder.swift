internal import AnalyticsJSON

/// Reads a submission's body into events, each accepted or rejected by itself. Pure: the time and the ids come in.
struct EventDecoder: ~Copyable {
    /// What every event of one request gets at the door.
    struct Stamp {
        var receivedAt: Timestamp
        /// Names the request; an event's receipt is this and its position.
        var request: String
    }

    struct Output {
        var events: [(index: Int, event: Event)] = []
        var rejected = Rejections()
    }

    var limits: EventLimits
    var horizon: IngestHorizon
    var ids: IDGenerator
    private var parser = JSONParser()

    init(limits: EventLimits, horizon: IngestHorizon = IngestHorizon(), ids: IDGenerator) {
        self.limits = limits
        self.horizon = horizon
        self.ids = ids
    }

    /// Throws only when the request is no list of events at all; what is wrong with a single event is in the output.
    mutating func decode(_ submission: Submission, stamp: Stamp) throws(SubmissionError) -> Output {
        let body = submission.body
        let limit = limits.maximumBatchEvents
        var output = Output()
        switch submission.format {
        case .event, .cloudEvent, .cloudEventBinary: decode([body.all], submission, stamp, into: &output)
        case .lines: decode(try BatchBody(lines: body, limit: limit).events, submission, stamp, into: &output)
        case .cloudEventBatch: decode(try BatchBody(array: body, limit: limit).events, submission, stamp, into: &output)
        case .batch:
            let batch = try BatchBody(batch: body, limit: limit)
            var sentAt: Timestamp?
            if let place = batch.sentAt { sentAt = try self.sentAt(body, at: place) }
            decode(batch.events, submission, stamp, sentAt: sentAt, into: &output)
        }
        guard !output.events.isEmpty || output.rejected.count > 0 else {
            throw SubmissionError(.emptyBatch, "The request holds no event.")
        }
        return output
    }

    private mutating func decode(
        _ places: [Range<Int>], _ submission: Submission, _ stamp: Stamp, sentAt: Timestamp? = nil, into output: inout Output
    ) {
        output.events.reserveCapacity(places.count)
        for (index, place) in places.enumerated() {
            var draft: EventDraft?
            do throws(Rejection) {
                guard place.count <= limits.maximumEventBytes else {
                    throw Rejection(
                        code: .eventTooLarge,
                        message: "The event has \(place.count) bytes; at most \(limits.maximumEventBytes) are allowed.")
                }
                let read = try read(submission, at: place)
                draft = read
                output.events.append((index, try event(read, at: index, of: submission, stamp: stamp, sentAt: sentAt)))
            } catch {
                var rejection = error
                rejection.index = index
                rejection.id = draft?.id ?? id(of: submission, at: place)
                output.rejected.append(rejection)
            }
        }
    }

    private mutating func read(_ submission: Submission, at place: Range<Int>) throws(Rejection) -> EventDraft {
        if case .cloudEventBinary(let attributes, let contentType) = submission.format {
            return try EventDraft(
                cloudEventAttributes: attributes, contentType: contentType, body: submission.body, parser: &parser)
        }
        let isCloudEvent = submission.format == .cloudEvent || submission.format == .cloudEventBatch
        return try parser.withMembers(
            of: submission.body, at: place, maximumDepth: EventLimits.maximumDepth, fault: { Rejection(fault: $0) }
        ) { (members) throws(Rejection) in
            isCloudEvent ? try EventDraft(cloudEvent: members) : try EventDraft(native: members)
        }
    }

    /// The id of an event that was refused for something else, so that its sender can tell which it was.
    private mutating func id(of submission: Submission, at place: Range<Int>) -> String? {
        if case .cloudEventBinary(let attributes, _) = submission.format {
            return attributes["id"].flatMap { try? FieldRules.checked($0, "id", limit: FieldRules.idLength) }
        }
        guard place.count <= limits.maximumEventBytes else { return nil }
        let id = try? parser.withMembers(of: submission.body, at: place, maximumDepth: EventLimits.maximumDepth) { members in
            members.with("id") { try? FieldRules.string($0, "id", limit: FieldRules.idLength) }
        }
        return id ?? nil
    }

    private mutating func sentAt(_ body: PaddedBytes, at place: Range<Int>) throws(SubmissionError) -> Timestamp? {
        let refusal = SubmissionError(.invalidEnvelope, FieldRules.timestampHelp("sentAt"))
        return try parser.withValue(of: body, at: place, maximumDepth: 0, fault: { _ in refusal }) { (value) throws(SubmissionError) in
            do throws(Rejection) { return try FieldRules.timestamp(value, "sentAt") } catch { throw refusal }
        }
    }

    // MARK: Stamping

    private func event(
        _ draft: EventDraft, at index: Int, of submission: Submission, stamp: Stamp, sentAt: Timestamp?
    ) throws(Rejection) -> Event {
        let timestamp = try EventTime.decide(
            client: draft.timestamp, sentAt: sentAt, receivedAt: stamp.receivedAt, limits: limits, horizon: horizon)
        let id =
            draft.id
            ?? submission.idempotencyKey.map { IDGenerator.derived(project: submission.project, key: $0, index: index) } ?? ids.next()
        return Event(
            project: submission.project, id: id, type: draft.type ?? "", source: draft.source ?? "", timestamp: timestamp,
            clientTimestamp: draft.timestamp, data: draft.data, correlationId: draft.correlationId, metadata: draft.metadata,
            userId: draft.userId, sessionId: draft.sessionId, receivedAt: stamp.receivedAt, receipt: "\(stamp.request):\(index)")
    }
}

/// Decides an event's time, once and for good.
enum EventTime {
    /// The client's time, moved by how far its clock was off when it sent; the time of receipt when it gave none.
    ///
    /// `receivedAt − (sentAt − timestamp)`: the age that the event had by its sender's clock, counted back from receipt by ours.
    static func decide(
        client: Timestamp?, sentAt: Timestamp?, receivedAt: Timestamp, limits: EventLimits, horizon: IngestHorizon
    ) throws(Rejection) -> Timestamp {
        guard let client else { return receivedAt }
        let timestamp = sentAt.map { receivedAt - ($0 - client) } ?? client
        guard timestamp >= .earliest else {
            throw Rejection(field: "timestamp", code: .invalidTimestamp, message: FieldRules.timestampHelp("timestamp"))
        }
        guard timestamp <= receivedAt + limits.maximumFutureSkew else {
            throw Rejection(
                field: "timestamp", code: .timestampInFuture,
                message: "'timestamp' \(timestamp.rfc3339) lies more than \(limits.maximumFutureSkew.milliseconds / 1000) s ahead of "
                    + "the time of receipt, \(receivedAt.rfc3339).")
        }
        if let retention = horizon.retention, timestamp < receivedAt - retention {
            throw tooOld(timestamp, "is older than the retention window of \(retention.milliseconds / 86_400_000) days.")
        }
        if let closed = horizon.closedBefore, timestamp < closed {
            throw tooOld(timestamp, "lies before \(closed.rfc3339): events of that time are deleted.")
        }
        return timestamp
    }

    private static func tooOld(_ timestamp: Timestamp, _ why: String) -> Rejection {
        Rejection(field: "timestamp", code: .timestampTooOld, message: "'timestamp' \(timestamp.rfc3339) \(why)")
    }
}

extension Rejection {
    init(fault: JSONFault, field: String? = nil) {
        let (code, message): (RejectionCode, String) =
            switch fault.code {
            case .syntax, .memory: (.invalidJSON, "The event is not valid JSON.")
            case .utf8: (.invalidUTF8, "The event is not valid UTF-8.")
            case .depth: (.tooDeep, "The event is nested deeper than \(EventLimits.maximumDepth) levels.")
            case .duplicateKey: (.duplicateKey, "An object of the event holds the same key twice.")
            case .nulInKey: (.nulInKey, "A key of the event holds a NUL character.")
            case .number:
                (
                    .numberOutOfRange,
                    "A number of the event is malformed, or fits neither a 64-bit integer nor a finite double; send it as a string."
                )
            case .notObject: (.notAnObject, "An event is a JSON object.")
            }
        self.init(field: field ?? fault.key, code: code, message: message)
    }
}
