internal import AnalyticsCore
internal import GzipCodec
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import Metrics
internal import NIOCore
internal import ServiceLifecycle

/// Sends all selected events in one response of any size, read from the store as the client reads.
struct ExportRoute: Sendable {
    let reader: EventReader
    let clock: WallClock
    let slots: RequestSlots
    /// Memory for responses, until they are written.
    let answers: ByteBudget
    let exported: Counter

    var routes: [Route] { [Route(.get, "/api/v1/events/export", .read, export)] }

    private func export(_ request: Request, _ context: APIRequestContext, _ principal: Principal) async throws -> Response {
        let query = try ExportQuery(request, project: principal.project)
        let slot = try slots.take()
        let lease = answers.lease(for: principal)
        try lease.hold(EventExport.sliceBytes)
        let asOf = clock.now()
        var export = reader.export(query.selection, after: query.position, now: asOf)
        // Errors of the first read still get their own status.
        let first = try await export.next(for: context.asker)

        let compresses = AcceptEncoding.takesGzip(request.headers[.acceptEncoding])
        var headers: HTTPFields = [
            .contentType: query.format.contentType, .cacheControl: "no-store", .vary: "Accept, Accept-Encoding",
            .contentDisposition: "attachment; filename=\"events.\(query.format.rawValue)\"",
        ]
        if compresses { headers[.contentEncoding] = "gzip" }
        let body = ResponseBody { [export, exported] writer in
            defer { withExtendedLifetime((slot, lease)) {} }
            var delivery = try ExportDelivery(export, query, asOf: asOf, compresses: compresses, exported: exported, context: context)
            try await delivery.run(first, to: &writer)
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: headers, body: body)
    }
}

/// Writes an export as fast as the client reads it.
private struct ExportDelivery {
    private var export: EventExport
    private let context: APIRequestContext
    private let isResumed: Bool
    private let asOf: Timestamp
    private let deflater: GzipDeflater?
    private let exported: Counter
    private var text: ExportText
    private var events = 0
    private var lastWrite = ContinuousClock.now

    /// After this time without an event, a progress line is sent: proxies close connections that are silent for a minute.
    private static let longestSilence = Duration.seconds(10)

    init(_ export: EventExport, _ query: ExportQuery, asOf: Timestamp, compresses: Bool, exported: Counter, context: APIRequestContext)
        throws
    {
        self.export = export
        self.context = context
        self.asOf = asOf
        self.exported = exported
        isResumed = query.position != nil
        text = ExportText(query.format)
        deflater = compresses ? try GzipDeflater() : nil
    }

    /// If the export is incomplete, writes the reason and then throws, so that the HTTP body does not end as complete.
    mutating func run(_ first: [StoredEvent]?, to writer: inout any ResponseBodyWriter) async throws {
        if !isResumed { text.begin() }
        var slice = first
        while let part = slice {
            try await write(part, to: &writer)
            do {
                guard !Task.isShuttingDownGracefully else { throw CancellationError() }
                slice = try await export.next(for: context.asker)
            } catch {
                text.fail(Problem(error, requestID: context.id, logger: context.logger), events: events, at: export.cursor)
                try await flush(to: &writer, isEnd: true)
                await context.connection.drained()
                throw error
            }
        }
        text.end(events: events, asOf: asOf)
        try await flush(to: &writer, isEnd: true)
    }

    private mutating func write(_ slice: [StoredEvent], to writer: inout any ResponseBodyWriter) async throws {
        for event in slice {
            text.add(event)
            if text.bytes.count >= SlicedJSON.sliceBytes { try await send(text.take(), to: &writer) }
        }
        events += slice.count
        exported.increment(by: slice.count)
        if slice.isEmpty, lastWrite.duration(to: .now) > Self.longestSilence, let cursor = export.cursor { text.progress(cursor) }
        // Even if `text` is empty: the compressor may hold bytes back.
        if !slice.isEmpty || !text.bytes.isEmpty { try await flush(to: &writer) }
    }

    /// Makes all written bytes readable to the client.
    private mutating func flush(to writer: inout any ResponseBodyWriter, isEnd: Bool = false) async throws {
        try await send(text.take(), flushes: true, to: &writer)
        if isEnd, let deflater { try await writer.write(ByteBuffer(bytes: try deflater.finish())) }
    }

    private mutating func send(_ bytes: [UInt8], flushes: Bool = false, to writer: inout any ResponseBodyWriter) async throws {
        let bytes = try deflater?.write(bytes, flushes: flushes) ?? bytes
        // Suspends while the connection's write buffer is full.
        if !bytes.isEmpty { try await writer.write(ByteBuffer(bytes: bytes)) }
        lastWrite = .now
    }
}
