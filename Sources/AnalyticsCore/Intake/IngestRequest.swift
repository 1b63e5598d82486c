public import AnalyticsJSON

/// The events of one request, as the transport passes them in.
public struct IngestRequest: Sendable {
    public var project: ProjectID
    public var format: any IntakeFormat
    public var body: PaddedBytes
    /// Makes retries safe for clients that send no ids: ids are derived from this key and the position.
    public var idempotencyKey: String?
    /// The sender. Enrichment uses it if the event itself names none.
    public var origin: RequestOrigin
    /// The whole address, for visitor ids; it is not published.
    public var clientAddress: ClientAddress?
    /// Whether the caller waits until the events are stored, by ``DeliveryReport``.
    public var reportRequested: Bool
    /// The sender's key, if it has rates of its own.
    public var limitedKey: LimitedKey?
    /// Bytes that count against the rate of events.
    public var size: Int

    public init(
        project: ProjectID, format: any IntakeFormat, body: PaddedBytes, idempotencyKey: String? = nil,
        origin: RequestOrigin = RequestOrigin(), clientAddress: ClientAddress? = nil, reportRequested: Bool = false,
        limitedKey: LimitedKey? = nil, size: Int? = nil
    ) {
        self.project = project
        self.format = format
        self.body = body
        self.idempotencyKey = idempotencyKey
        self.origin = origin
        self.clientAddress = clientAddress
        self.reportRequested = reportRequested
        self.limitedKey = limitedKey
        self.size = size ?? body.count
    }
}

/// The sender of the request.
public struct RequestOrigin: Sendable, Equatable {
    /// IP address, truncated unless the service is configured to keep it whole.
    public var address: String?
    public var userAgent: String?
    /// Looked up by the whole address.
    public var country: Country?

    public init(address: String? = nil, userAgent: String? = nil, country: Country? = nil) {
        self.address = address
        self.userAgent = userAgent
        self.country = country
    }
}

/// The result of an ingest request.
public struct SubmissionResult: Sendable, Equatable {
    /// The prefix of the events' ingest ids.
    public var request: String
    /// Confirmed by the broker, in the order of the request.
    public var accepted: [AcceptedEvent]
    /// Rejected for their content: sending them again does not help.
    public var rejected: Rejections
    /// Not confirmed by the broker, so not accepted. The client should send them again with the same ids.
    public var unconfirmed: [AcceptedEvent]
    /// The reason, if there are any.
    public var unconfirmedReason: String?

    public init(
        request: String, accepted: [AcceptedEvent] = [], rejected: Rejections = Rejections(), unconfirmed: [AcceptedEvent] = [],
        unconfirmedReason: String? = nil
    ) {
        self.request = request
        self.accepted = accepted
        self.rejected = rejected
        self.unconfirmed = unconfirmed
        self.unconfirmedReason = unconfirmedReason
    }

    /// Approximate size in memory in bytes.
    public var size: Int { rejected.size + eventBytes }

    /// The same for the events, without the rejections.
    public var eventBytes: Int { (accepted + unconfirmed).reduce(0) { $0 + 56 + $1.id.utf8.count } }
}

/// Identifies an accepted event of a request to the caller.
public struct AcceptedEvent: Sendable, Equatable {
    /// Position in the request, from 0.
    public var index: Int
    public var id: String

    public init(index: Int, id: String) {
        self.index = index
        self.id = id
    }
}
