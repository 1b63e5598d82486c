internal import AnalyticsCore
internal import HTTPTypes
internal import Hummingbird

/// An ingest route: its formats by media type, and the shape of its responses. A vendor's route is one more entry.
struct IntakeRoute: Sendable {
    /// Returns a format, or `nil` if it has none for this request. Throws a ``Problem`` if another route takes it. Not a typed error: a
    /// closure with one crashes the compiler of Swift 6.3.1.
    typealias Choice = @Sendable (IntakeHead) throws -> (any IntakeFormat)?

    var path: String
    /// Query parameters in addition to a key and those of ``WaitOption``; `nil` if any is allowed.
    var parameters: [String]? = []
    var answer: any IntakeResponse
    /// The accepted media types, for the error message.
    var mediaTypes: String
    /// Tried in order; the first format is used.
    var formats: [Choice]

    func format(_ head: IntakeHead) throws -> any IntakeFormat {
        for choice in formats {
            if let format = try choice(head) { return format }
        }
        throw Problem(.unsupportedMediaType, "Content-Type may be \(mediaTypes).")
    }
}

/// The head of a request.
struct IntakeHead {
    /// Type and subtype in lower case; `nil` without a `Content-Type`.
    let mediaType: String?
    let headers: HTTPFields
    let query: QueryParameters

    /// - Parameter hasKey: Then JSON may come as `text/plain`, which `navigator.sendBeacon` sends without a preflight. Without a key, any
    ///   page could send it.
    init(_ headers: HTTPFields, query: QueryParameters, hasKey: Bool) throws(Problem) {
        let mediaType = try MediaType.essence(headers)
        self.mediaType = hasKey && mediaType == MediaType.text ? "application/json" : mediaType
        self.headers = headers
        self.query = query
    }
}

extension IntakeRoute {
    /// The formats by route and media type.
    static var standard: [IntakeRoute] {
        [
            IntakeRoute(
                path: "/api/v1/events", answer: EventResponse(), mediaTypes: "application/json or application/cloudevents+json",
                formats: [
                    // CloudEvents HTTP binding 1.0.2, section 3: the content type marks structured and batched mode; everything else is
                    // binary.
                    take(MediaType.cloudEvent, as: CloudEventsFormat.structured),
                    refuse(MediaType.cloudEventBatch, onlyBatch("A batch of CloudEvents")),
                    takeBinary,
                    take(MediaType.json, as: NativeFormat.event),
                    refuse(MediaType.ndjson, onlyBatch("NDJSON")),
                ]),
            IntakeRoute(
                path: "/api/v1/events/batch", answer: BatchResponse(),
                mediaTypes: "application/json, application/x-ndjson or application/cloudevents-batch+json",
                formats: [
                    refuse(MediaType.cloudEvent, onlySingle),
                    refuseBinary,
                    take(MediaType.json, as: NativeFormat.batch),
                    take(MediaType.ndjson, as: NDJSONFormat()),
                    take(MediaType.cloudEventBatch, as: CloudEventsFormat.batched),
                ]),
            IntakeRoute(
                path: "/api/v1/identify", answer: EventResponse(), mediaTypes: "application/json",
                formats: [take(MediaType.json, as: SimpleFormat.identity)]),
            IntakeRoute(
                path: "/ingest", answer: EventResponse(), mediaTypes: "application/json",
                formats: [take(MediaType.json, as: SimpleFormat.record)]),
            IntakeRoute(
                path: "/event", answer: SiteEventResponse(), mediaTypes: "application/json",
                formats: [take(MediaType.json, as: SimpleFormat.siteEvent)]),
        ]
    }

    private static func take(_ types: [String?], as format: any IntakeFormat) -> Choice {
        { head in types.contains(head.mediaType) ? format : nil }
    }

    private static func refuse(_ types: [String?], _ problem: Problem) -> Choice {
        { head in
            guard !types.contains(head.mediaType) else { throw problem }
            return nil
        }
    }

    /// Only headers mark a CloudEvent in binary mode.
    @Sendable
    private static func takeBinary(_ head: IntakeHead) throws -> (any IntakeFormat)? {
        guard let attributes = try CloudEventHeaders.attributes(head.headers) else { return nil }
        return CloudEventsFormat.binary(attributes: attributes, contentType: head.headers[.contentType])
    }

    @Sendable
    private static func refuseBinary(_ head: IntakeHead) throws -> (any IntakeFormat)? {
        let isBatch = head.mediaType?.ends(withUTF8: "batch+json") == true
        guard try isBatch || CloudEventHeaders.attributes(head.headers) == nil else { throw onlySingle }
        return nil
    }

    private static func onlyBatch(_ what: String) -> Problem {
        Problem(.unsupportedMediaType, "\(what) goes to POST /api/v1/events/batch; this route takes one event.")
    }

    private static var onlySingle: Problem {
        Problem(
            .unsupportedMediaType,
            "A single CloudEvent goes to POST /api/v1/events; a batch of them comes here as application/cloudevents-batch+json.")
    }
}
