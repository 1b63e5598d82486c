internal import AnalyticsAPI
internal import AnalyticsCore
internal import AnalyticsJSON
internal import GRPCCore
internal import GRPCProtobuf

/// Ingests events through the same collector as the HTTP routes.
struct IngestService: Analytics_Ingest.ServiceProtocol {
    let desk: ServiceDesk

    /// Rejected events listed in the response to a stream.
    private static let rejectionsListed = 1_000

    /// As generated, with another deserializer.
    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(
            forMethod: Analytics_Ingest.Method.Send.descriptor, deserializer: SendRequestReader(),
            serializer: ProtobufSerializer<Analytics_SendResponse>()
        ) { request, context in
            StreamingServerResponse(single: try await self.send(request: ServerRequest(stream: request), context: context))
        }
        router.registerHandler(
            forMethod: Analytics_Ingest.Method.SendStream.descriptor, deserializer: SendRequestReader(),
            serializer: ProtobufSerializer<Analytics_SendStreamResponse>()
        ) { request, context in
            let response: ServerResponse<Analytics_SendStreamResponse> = try await self.sendStream(request: request, context: context)
            return StreamingServerResponse(single: response)
        }
    }

    func send(request: ServerRequest<Analytics_SendRequest>, context: ServerContext) async throws -> ServerResponse<Analytics_SendResponse>
    {
        try await answering { () async throws(DeskFailure) in
            let (result, held) = try await submit(request.message, .init(context, request.metadata))
            defer { withExtendedLifetime(held) {} }
            var response = Analytics_SendResponse()
            response.accepted = Int64(result.accepted.count)
            response.results = Self.results(result, from: 0, accepted: true)
            return response
        }
    }

    /// Reads the next batch after the previous one is submitted: HTTP/2 flow control slows a faster client down. The key is checked for
    /// every batch, with events or without.
    func sendStream(
        request: StreamingServerRequest<Analytics_SendRequest>, context: ServerContext
    ) async throws -> ServerResponse<Analytics_SendStreamResponse> {
        let call = ServiceDesk.Call(context, request.metadata)
        var response = Analytics_SendStreamResponse()
        for try await batch in request.messages {
            let (result, held): (SubmissionResult, any Sendable)
            do throws(DeskFailure) {
                guard !batch.events.isEmpty else {
                    try await desk.check(.write, call)
                    continue
                }
                (result, held) = try await submit(batch, call)
            } catch {
                var failure = RPCError(error)
                failure.message +=
                    " Of this stream \(response.received) events before it were read, of which \(response.accepted) are accepted."
                throw failure
            }
            response.add(result, of: batch.events.count, listing: Self.rejectionsListed)
            withExtendedLifetime(held) {}
            guard result.unconfirmed.isEmpty else { break }
        }
        return ServerResponse(message: response)
    }

    private func submit(
        _ batch: Analytics_SendRequest, _ call: ServiceDesk.Call
    ) async throws(DeskFailure) -> (SubmissionResult, any Sendable) {
        try await desk.send(
            EventText(events: batch.events), idempotencyKey: batch.idempotencyKey.isEmpty ? nil : batch.idempotencyKey,
            tenant: batch.tenantID, call)
    }

    /// In the order of the events.
    fileprivate static func results(_ result: SubmissionResult, from start: Int64, accepted: Bool, rejections: Int = .max)
        -> [Analytics_SendResult]
    {
        var results = result.rejected.first.prefix(max(0, rejections)).map { rejection in
            var message = Analytics_SendResult(rejection.index, rejection.id ?? "", .rejected)
            message.code = rejection.code.rawValue
            message.field = rejection.field ?? ""
            message.message = rejection.message
            return message
        }
        results += result.unconfirmed.map { event in
            var message = Analytics_SendResult(event.index, event.id, .unconfirmed)
            message.message = SubmissionResult.whyUnconfirmed
            return message
        }
        if accepted { results += result.accepted.map { Analytics_SendResult($0.index, $0.id, .accepted) } }
        results.sort { $0.index < $1.index }
        for index in results.indices { results[index].index += start }
        return results
    }
}

extension Analytics_SendResult {
    fileprivate init(_ index: Int, _ id: String, _ status: Analytics_SendStatus) {
        self.init()
        self.index = Int64(index)
        self.id = id
        self.status = status
    }
}

extension Analytics_SendStreamResponse {
    fileprivate mutating func add(_ result: SubmissionResult, of count: Int, listing limit: Int) {
        results += IngestService.results(result, from: received, accepted: false, rejections: limit - Int(min(rejected, Int64(limit))))
        received += Int64(count)
        accepted += Int64(result.accepted.count)
        rejected += Int64(result.rejected.count)
        unconfirmed += Int64(result.unconfirmed.count)
    }
}

/// Writes events in the native format, one after another.
private struct EventText: DeskEvents {
    let events: [Analytics_Event]

    var count: Int { events.count }

    var textBytes: Int {
        events.reduce(0) { bytes, event in
            // The names of all members, with quotes and commas, have 134 bytes.
            [
                event.id, event.type, event.source, event.timestamp, event.correlationID, event.userID, event.anonymousID,
                event.sessionID, event.dataJson, event.metadataJson,
            ].reduce(bytes + 136) { $0 + $1.utf8.count }
        }
    }

    func text() -> (text: PaddedBytes, places: [PlacedFormat.Place]) {
        var text = PaddedBytes(reservingCapacity: textBytes)
        var places: [PlacedFormat.Place] = []
        places.reserveCapacity(events.count)
        for event in events {
            let start = text.count
            var (writer, values) = (JSONWriter(), [Range<Int>]())
            func value(_ json: String) {
                let (first, bytes) = (writer.count, Array(json.utf8))
                writer.json(bytes)
                values.append(start + first..<start + first + bytes.count)
            }
            writer.beginObject()
            for (name, text) in [
                ("id", event.id), ("type", event.type), ("source", event.source), ("timestamp", event.timestamp),
                ("correlationId", event.correlationID), ("userId", event.userID), ("anonymousId", event.anonymousID),
                ("sessionId", event.sessionID),
            ] as [(StaticString, String)] where !text.isEmpty { writer.member(name, text) }
            if !event.metadataJson.isEmpty {
                writer.key("metadata")
                value(event.metadataJson)
            }
            writer.key("data")
            value(event.dataJson.isEmpty ? "null" : event.dataJson)
            writer.endObject()
            text.append(writer.bytes)
            places.append(PlacedFormat.Place(event: start..<text.count, values: values))
        }
        return (text, places)
    }
}
