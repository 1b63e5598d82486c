/// Reads a submission's body into events, each accepted or rejected by itself. Pure: the time and the ids come in.
struct EventDecoder {
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
    private let parser = JSONParser()

    init(limits: EventLimits, horizon: IngestHorizon = IngestHorizon(), ids: IDGenerator) {
        self.limits = limits
        self.horizon = horizon
        self.ids = ids
    }

    /// Throws only when the request is no list of events at all; what is wrong with a single event is in the output.
    func decode(_ submission: Submission, stamp: Stamp) throws(SubmissionError) -> Output {
        let output = try submission.body.withUnsafeBytes { (body) throws(SubmissionError) in
            switch submission.format {
            case .event: decode([body], submission, stamp, native)
            case .cloudEvent: decode([body], submission, stamp, cloudEvent)
            case .cloudEventBinary(let attributes, let contentType):
                decode([body], submission, stamp) { (text) throws(Rejection) in
                    try EventDraft(cloudEventAttributes: attributes, contentType: contentType, body: text, parser: parser)
                }
            case .batch: try decodeBatch(body, submission, stamp)
            case .lines:
                decode(try BatchBody(lines: body, limit: limits.maximumBatchEvents).events, submission, stamp, native)
            case .cloudEventBatch:
                decode(try BatchBody(array: body, limit: limits.maximumBatchEvents).events, submission, stamp, cloudEvent)
            }
        }
        guard !output.events.isEmpty || output.rejected.count > 0 else {
            throw SubmissionError(.emptyBatch, "The request holds no event.")
        }
        return output
    }

    private func decodeBatch(_ body: JSONSlice, _ submission: Submission, _ stamp: Stamp) throws(SubmissionError) -> Output {
        let batch = try BatchBody(batch: body, limit: limits.maximumBatchEvents)
        let sentAt = try batch.sentAt.map { (text) throws(SubmissionError) in try self.sentAt(text) } ?? nil
        return decode(batch.events, submission, stamp, sentAt: sentAt, native)
    }

    private func decode(
        _ texts: [JSONSlice], _ submission: Submission, _ stamp: Stamp, sentAt: Timestamp? = nil,
        _ read: (JSONSlice) throws(Rejection) -> EventDraft
    ) -> Output {
        var output = Output()
        output.events.reserveCapacity(texts.count)
        for (index, text) in texts.enumerated() {
            var draft: EventDraft?
            do throws(Rejection) {
                guard text.count <= limits.maximumEventBytes else {
                    throw Rejection(
                        code: .eventTooLarge,
                        message: "The event has \(text.count) bytes; at most \(limits.maximumEventBytes) are allowed.")
                }
                let read = try read(text)
                draft = read
                output.events.append((index, try event(read, at: index, of: submission, stamp: stamp, sentAt: sentAt)))
            } catch {
                var rejection = error
                rejection.index = index
                rejection.id = draft?.id ?? id(of: text, submission.format)
                output.rejected.append(rejection)
            }
        }
        return output
    }

    /// The id of an event that was refused for something else, so that its sender can tell which it was.
    private func id(of text: JSONSlice, _ format: Submission.Format) -> String? {
        if case .cloudEventBinary(let attributes, _) = format {
            return attributes["id"].flatMap { try? FieldRules.checked($0, "id", limit: FieldRules.idLength) }
        }
        guard text.count <= limits.maximumEventBytes, let members = try? members(text) else { return nil }
        return members["id"].flatMap { try? FieldRules.string($0, "id", limit: FieldRules.idLength) }
    }

    private func native(_ text: JSONSlice) throws(Rejection) -> EventDraft {
        try EventDraft(native: members(text))
    }

    private func cloudEvent(_ text: JSONSlice) throws(Rejection) -> EventDraft {
        try EventDraft(cloudEvent: members(text))
    }

    private func members(_ text: JSONSlice) throws(Rejection) -> JSONMembers {
        do throws(JSONFault) {
            return try parser.members(of: text, maximumDepth: EventLimits.maximumDepth)
        } catch {
            throw Rejection(fault: error)
        }
    }

    private func sentAt(_ text: JSONSlice) throws(SubmissionError) -> Timestamp? {
        var object = PaddedBytes("{\"sentAt\":")
        object.append(UnsafeRawBufferPointer(start: text.start, count: text.count))
        object.append(CollectionOfOne(UInt8(ascii: "}")))
        return try object.withUnsafeBytes { (slice) throws(SubmissionError) in
            do {
                return try parser.members(of: slice, maximumDepth: 1)["sentAt"].flatMap { try FieldRules.timestamp($0, "sentAt") }
            } catch {
                throw SubmissionError(.invalidEnvelope, FieldRules.timestampHelp("sentAt"))
            }
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
