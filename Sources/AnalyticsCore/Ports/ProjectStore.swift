/// Stores a record per project, and deletes expired events.
///
/// Two moments of a record only rise (docs/decisions/retention.md): events before `closedBefore` are no longer stored, and events before
/// `watermark` may be deleted. Every operation can be repeated, and is harmless if it takes effect late.
public protocol ProjectStore: Sendable {
    /// The records of all projects. A failover cannot undo anything in them.
    func projectRecords() async throws(StoreError) -> [ProjectRecord]

    /// The current records of these projects: they include everything that was durable before the call, also after a failover. Newer
    /// changes may still be undone, so they may prevent an action but not justify one.
    func newestRecords(of projects: [ProjectID]) async throws(StoreError) -> [ProjectRecord]

    /// Writes the retention of a project that has none. An existing one is kept.
    func createRecord(of project: ProjectID, retentionDays: Int, at time: Timestamp) async throws(StoreError)

    /// Writes the retention of a project in days; 0 means for ever. `time` becomes ``ProjectRecord/changedAt``.
    func setRetention(of project: ProjectID, days: Int, at time: Timestamp) async throws(StoreError)

    /// Writes the time zone of a project.
    func setTimeZone(of project: ProjectID, to zone: ZoneName) async throws(StoreError)

    /// Writes the properties for which the project's segments have columns.
    func setProperties(of project: ProjectID, to paths: [PropertyPath]) async throws(StoreError)

    /// Switches a project's visitor ids on or off.
    func setVisitorIds(of project: ProjectID, to isOn: Bool) async throws(StoreError)

    /// Creates a project's record; `false` if there was one.
    func createProject(_ project: ProjectID, at time: Timestamp) async throws(StoreError) -> Bool

    /// Writes the name of a project that people see; at most ``ProjectRecord/longestTitle`` bytes.
    func setTitle(of project: ProjectID, to title: String) async throws(StoreError)

    /// Writes when the project was archived; `nil` if it is not.
    func setArchived(of project: ProjectID, at time: Timestamp?) async throws(StoreError)

    /// Writes the sites whose pages may send events; at most ``ProjectRecord/maximumOrigins``.
    func setOrigins(of project: ProjectID, to origins: [String]) async throws(StoreError)

    /// Writes the rates that the project may use.
    func setRates(of project: ProjectID, to rates: ProjectRates) async throws(StoreError)

    /// Raises ``ProjectRecord/closedBefore``. An earlier time changes nothing. Returns when it is durable.
    func close(_ project: ProjectID, before time: Timestamp) async throws(StoreError)

    /// Raises ``ProjectRecord/watermark`` and with it ``ProjectRecord/closedBefore``. An earlier time changes nothing. Returns when it is
    /// durable.
    func raiseWatermark(of project: ProjectID, to time: Timestamp) async throws(StoreError)

    /// Deletes events below the stored watermark, oldest first, at most `limit`. Rollups are kept. Returns the number of deleted events: 0
    /// if none is left, or if another process deletes the same ones.
    func deleteExpiredEvents(of project: ProjectID, limit: Int) async throws(StoreError) -> Int
}

/// The stored settings and limits of a project.
public struct ProjectRecord: Sendable, Equatable {
    public var project: ProjectID
    /// Days for which events are kept, 0 for ever; `nil` until the first value is written.
    public var retentionDays: Int?
    /// The zone of questions that name none; `nil` for UTC.
    public var timeZone: ZoneName?
    /// Properties with a column in the project's segments, in addition to those that every project has. At most ``maximumProperties``.
    public var properties: [PropertyPath]
    /// Whether events without a user get a visitor id (``VisitorIdentifier``).
    public var hasVisitorIds: Bool
    /// When `retentionDays` was written.
    public var changedAt: Timestamp?
    /// Events before this time are no longer stored; `nil` if there is no limit.
    public var closedBefore: Timestamp?
    /// All events from this time on are kept; `nil` if none were deleted. Never later than `closedBefore`.
    public var watermark: Timestamp?
    /// Raised whenever the project's erasures cover more events; 0 if it has none.
    public var erasures: Int64
    /// The name that people see; `nil` for the project's id.
    public var title: String?
    /// When a caller created it; `nil` if it came into being with its first event or setting.
    public var createdAt: Timestamp?
    /// An archived project accepts no events; what is stored can be read. `nil` if it is not archived.
    public var archivedAt: Timestamp?
    /// The sites whose pages may send events with a write key, as a browser's `Origin` names them: `https://shop.example`.
    public var origins: [String]
    public var rates: ProjectRates

    public init(
        project: ProjectID, retentionDays: Int? = nil, changedAt: Timestamp? = nil, closedBefore: Timestamp? = nil,
        watermark: Timestamp? = nil, timeZone: ZoneName? = nil, properties: [PropertyPath] = [], hasVisitorIds: Bool = false,
        erasures: Int64 = 0, title: String? = nil, createdAt: Timestamp? = nil, archivedAt: Timestamp? = nil, origins: [String] = [],
        rates: ProjectRates = ProjectRates()
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
        self.title = title
        self.createdAt = createdAt
        self.archivedAt = archivedAt
        self.origins = origins
        self.rates = rates
    }

    /// Whether this service can have written it; otherwise the store is damaged.
    public var isValid: Bool {
        [changedAt, closedBefore, watermark, createdAt, archivedAt].allSatisfy { $0?.isValid ?? true }
            && title?.utf8.count ?? 0 <= Self.longestTitle && origins.count <= Self.maximumOrigins && rates.isValid
            && (0...RetentionPlan.maximumDays).contains(retentionDays ?? 0) && properties.count <= Self.maximumProperties && erasures >= 0
    }

    public static let maximumProperties = 20
    public static let maximumOrigins = 50
    public static let longestTitle = 200
}

/// What a project, all its keys together, or one key may use per second; `nil` for no limit.
public struct ProjectRates: Sendable, Equatable {
    public var requestsPerSecond: Int?
    /// Events that were sent, whether accepted or rejected.
    public var eventsPerSecond: Int?

    public init(requestsPerSecond: Int? = nil, eventsPerSecond: Int? = nil) {
        self.requestsPerSecond = requestsPerSecond
        self.eventsPerSecond = eventsPerSecond
    }

    public static let allowed = 1...10_000_000

    public var isValid: Bool { [requestsPerSecond, eventsPerSecond].allSatisfy { $0.map(Self.allowed.contains) ?? true } }
}
