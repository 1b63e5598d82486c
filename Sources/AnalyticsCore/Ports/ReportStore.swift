/// Keeps what came of deliveries for some minutes, for requests that wait (`?wait=stored`).
public protocol ReportStore: Sendable {
    /// Keeps reports for some minutes, for whoever waits for them. One that is there already stays: a redelivery says the same.
    func add(_ reports: [DeliveryReport]) async throws(StoreError)

    /// The reports of a request's deliveries so far.
    func reports(project: ProjectID, request: String) async throws(StoreError) -> [DeliveryReport]
}

/// What came of one delivery, once its events can be queried and counted: for a request that waits (`?wait=stored`).
public struct DeliveryReport: Sendable, Equatable {
    public var project: ProjectID
    public var request: String
    /// Position in the request of the delivery's first event: tells the request's deliveries apart.
    public var first: Int
    public var stored: Int
    /// Their ids were taken.
    public var duplicates: Int
    /// The store will never take them: they are in the dead letters.
    public var refused: Int
    /// They were erased before they came.
    public var erased: Int
    public var at: Timestamp

    public init(
        project: ProjectID, request: String, first: Int, stored: Int = 0, duplicates: Int = 0, refused: Int = 0, erased: Int = 0,
        at: Timestamp
    ) {
        self.project = project
        self.request = request
        self.first = first
        self.stored = stored
        self.duplicates = duplicates
        self.refused = refused
        self.erased = erased
        self.at = at
    }

    public var events: Int { stored + duplicates + refused + erased }

    /// Whether its numbers are those of a delivery. A store that was damaged may say anything.
    var isPlausible: Bool {
        [first, stored, duplicates, refused, erased].allSatisfy { (0...Int(EnvelopeDecoder.positions.upperBound)).contains($0) }
    }
}
