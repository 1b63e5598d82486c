/// Keeps a record for each project, and deletes events that are no longer kept.
///
/// Two moments of a record only rise (docs/decisions/retention.md): events before `closedBefore` are not stored any more, and events
/// before `watermark` may be deleted. Every operation can be repeated, and does no harm when it takes effect late.
public protocol ProjectStore: Sendable {
    /// The records of all projects. Nothing in them can be undone.
    func projectRecords() async throws(StoreError) -> [ProjectRecord]

    /// The records of these projects as they are now: what was durable before the call is in them, after a failover too. What is newer
    /// may still be undone, so it may hold an action back and not justify one.
    func newestRecords(of projects: [ProjectID]) async throws(StoreError) -> [ProjectRecord]

    /// Writes the first retention of a project that has none. One that is there stays.
    func createRecord(of project: ProjectID, retentionDays: Int, at time: Timestamp) async throws(StoreError)

    /// Writes the retention of a project, in days, 0 for ever. `time` becomes ``ProjectRecord/changedAt``.
    func setRetention(of project: ProjectID, days: Int, at time: Timestamp) async throws(StoreError)

    /// Writes the time zone of a project.
    func setTimeZone(of project: ProjectID, to zone: ZoneName) async throws(StoreError)

    /// Writes the properties of a project that its segments have columns for.
    func setProperties(of project: ProjectID, to paths: [PropertyPath]) async throws(StoreError)

    /// Switches visitor ids of a project on or off.
    func setVisitorIds(of project: ProjectID, to isOn: Bool) async throws(StoreError)

    /// Raises ``ProjectRecord/closedBefore``. A lower moment changes nothing. Returns when that is durable.
    func close(_ project: ProjectID, before time: Timestamp) async throws(StoreError)

    /// Raises ``ProjectRecord/watermark``, and ``ProjectRecord/closedBefore`` with it. A lower moment changes nothing. Returns when that
    /// is durable.
    func raiseWatermark(of project: ProjectID, to time: Timestamp) async throws(StoreError)

    /// Deletes events below the stored watermark, the oldest first, at most `limit`. Rollups stay. Returns how many it deleted: 0 when
    /// none is left, or when another process deletes the same ones.
    func deleteExpiredEvents(of project: ProjectID, limit: Int) async throws(StoreError) -> Int
}

/// What the store keeps about a project.
public struct ProjectRecord: Sendable, Equatable {
    public var project: ProjectID
    /// Days that a caller may rely on events being kept, 0 for ever; `nil` until the first value is written.
    public var retentionDays: Int?
    /// In which questions about the project are answered that name no zone; `nil` for UTC.
    public var timeZone: ZoneName?
    /// Properties that questions are asked about, beside those that every project has: segments have a column for each. At most
    /// ``maximumProperties``.
    public var properties: [PropertyPath]
    /// Whether events without a user get a visitor id (``VisitorIdentifier``).
    public var hasVisitorIds: Bool
    /// When `retentionDays` was written.
    public var changedAt: Timestamp?
    /// Events before this moment are not stored any more; `nil` while any is.
    public var closedBefore: Timestamp?
    /// The first moment whose events are all there; `nil` while all events are. Never later than `closedBefore`.
    public var watermark: Timestamp?
    /// Raised whenever the project's erasures have come to cover more events; 0 while it has none.
    public var erasures: Int64

    public init(
        project: ProjectID, retentionDays: Int? = nil, changedAt: Timestamp? = nil, closedBefore: Timestamp? = nil,
        watermark: Timestamp? = nil, timeZone: ZoneName? = nil, properties: [PropertyPath] = [], hasVisitorIds: Bool = false,
        erasures: Int64 = 0
    ) {
        self.project = project
        self.retentionDays = retentionDays
        self.changedAt = changedAt
        self.closedBefore = closedBefore
        self.watermark = watermark
        self.timeZone = timeZone
        self.properties = properties
        self.hasVisitorIds = hasVisitorIds
        self.erasures = erasures
    }

    /// Whether it is one that this service can have written; else the store is damaged.
    public var isValid: Bool {
        [changedAt, closedBefore, watermark].allSatisfy { $0?.isValid ?? true }
            && (0...RetentionPlan.maximumDays).contains(retentionDays ?? 0) && properties.count <= Self.maximumProperties && erasures >= 0
    }

    public static let maximumProperties = 20
}
