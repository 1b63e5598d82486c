public import AnalyticsJSON

/// One request's worth of events, as the transport hands it in.
public struct IngestRequest: Sendable {
    public var project: ProjectID
    public var format: any IntakeFormat
    public var body: PaddedBytes
    /// Makes retries safe for clients that send no ids: ids are then derived from this and the position.
    public var idempotencyKey: String?
    /// Who sent it: an enrichment falls back on these when the event itself says nothing.
    public var origin: RequestOrigin
    /// The whole address, of which visitor ids are made; it is not published.
    public var clientAddress: ClientAddress?
    /// Whether its sender waits until the events are stored, and so for ``DeliveryReport``s.
    public var reportRequested: Bool

    public init(
        project: ProjectID, format: any IntakeFormat, body: PaddedBytes, idempotencyKey: String? = nil,
        origin: RequestOrigin = RequestOrigin(), clientAddress: ClientAddress? = nil, reportRequested: Bool = false
    ) {
        self.project = project
        self.format = format
        self.body = body
        self.idempotencyKey = idempotencyKey
        self.origin = origin
        self.clientAddress = clientAddress
        self.reportRequested = reportRequested
    }
}

/// The other end of the request that brought the events.
public struct RequestOrigin: Sendable, Equatable {
    /// IP address, already truncated unless the service is set to keep it whole.
    public var address: String?
    public var userAgent: String?
    /// Of the whole address.
    public var country: Country?

    public init(address: String? = nil, userAgent: String? = nil, country: Country? = nil) {
        self.address = address
        self.userAgent = userAgent
        self.country = country
    }
}

/// What became of a request.
public struct SubmissionResult: Sendable, Equatable {
    /// What the events' receipts begin with.
    public var request: String
    /// Confirmed by the broker, in the order of the request.
    public var accepted: [AcceptedEvent]
    /// Refused for what they are: sending them again does not help.
    public var rejected: Rejections
    /// Not confirmed: not accepted, and to be sent again with the same ids.
    public var unconfirmed: [AcceptedEvent]
    /// Why, when there are any.
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

    /// About the bytes that it takes in memory.
    public var size: Int { rejected.size + eventBytes }

    /// The same of its events, without the rejections.
    public var eventBytes: Int { (accepted + unconfirmed).reduce(0) { $0 + 56 + $1.id.utf8.count } }
}

/// What a caller needs to find an event of its request again.
public struct AcceptedEvent: Sendable, Equatable {
    /// Position in the request, from 0.
    public var index: Int
    public var id: String

    public init(index: Int, id: String) {
        self.index = index
        self.id = id
    }
}
