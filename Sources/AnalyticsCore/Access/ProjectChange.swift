/// New settings of a project. Members that are `nil` stay as they are.
public struct ProjectChange: Sendable, Equatable {
    /// Empty for none.
    public var title: String?
    public var timeZone: ZoneName?
    /// 0 for ever.
    public var retentionDays: Int?
    public var properties: [PropertyPath]?
    public var visitorIds: Bool?
    /// ``ProjectRecord/origins``; they replace all earlier ones.
    public var origins: [String]?
    /// They replace both earlier ones.
    public var rates: ProjectRates?
    public var isArchived: Bool?

    public init(
        title: String? = nil, timeZone: ZoneName? = nil, retentionDays: Int? = nil, properties: [PropertyPath]? = nil,
        visitorIds: Bool? = nil, origins: [String]? = nil, rates: ProjectRates? = nil, isArchived: Bool? = nil
    ) {
        self.title = title
        self.timeZone = timeZone
        self.retentionDays = retentionDays
        self.properties = properties
        self.visitorIds = visitorIds
        self.origins = origins
        self.rates = rates
        self.isArchived = isArchived
    }
}
