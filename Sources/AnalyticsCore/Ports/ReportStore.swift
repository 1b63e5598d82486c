/// Stores the outcomes of deliveries for some minutes, for requests that wait (`?wait=stored`).
public protocol ReportStore: Sendable {
    /// Stores reports for some minutes. An existing report is kept: a redelivery gives the same one.
    func add(_ reports: [DeliveryReport]) async throws(StoreError)

    /// The reports of a request's deliveries so far.
    func reports(project: ProjectID, request: String) async throws(StoreError) -> [DeliveryReport]
}

/// The outcome of one delivery, once its events can be queried and counted.
public struct DeliveryReport: Sendable, Equatable {
    public var project: ProjectID
    public var request: String
    /// Position in the request of the delivery's first event; it identifies the delivery within the request.
    public var first: Int
    public var stored: Int
    /// The id was taken.
    public var duplicates: Int
    /// The store will never accept them: they are dead-lettered.
    public var refused: Int
    /// Erased before they arrived.
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

    /// Whether its numbers are possible. A damaged store may return anything.
    var isPlausible: Bool {
        [first, stored, duplicates, refused, erased].allSatisfy { (0...Int(EnvelopeDecoder.positions.upperBound)).contains($0) }
    }
}
