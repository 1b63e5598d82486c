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

    /// Without what the project has already.
    func without(_ record: ProjectRecord) -> ProjectChange {
        var change = self
        if let title, title.equalsUTF8(record.title ?? "") { change.title = nil }
        if timeZone == record.timeZone { change.timeZone = nil }
        if retentionDays == record.retentionDays { change.retentionDays = nil }
        if properties == record.properties { change.properties = nil }
        if visitorIds == record.hasVisitorIds { change.visitorIds = nil }
        if origins == record.origins { change.origins = nil }
        if rates == record.rates { change.rates = nil }
        if isArchived == (record.archivedAt != nil) { change.isArchived = nil }
        return change
    }

    /// What it changes but the archive, for the audit log.
    var details: String {
        var parts: [String] = []
        if let title { parts.append("title: \(title.quoted)") }
        if let timeZone { parts.append("timeZone: \(timeZone)") }
        if let retentionDays { parts.append("retentionDays: \(retentionDays)") }
        if let properties { parts.append("properties: \(properties.map(\.text.quoted).joined(separator: ", "))") }
        if let visitorIds { parts.append("visitorIds: \(visitorIds)") }
        if let origins { parts.append("allowedOrigins: \(origins.joined(separator: ", "))") }
        if let rates {
            parts.append("requestsPerSecond: \(rates.requestsPerSecond.map { String($0) } ?? "none")")
            parts.append("eventsPerSecond: \(rates.eventsPerSecond.map { String($0) } ?? "none")")
        }
        return parts.joined(separator: "; ")
    }
}
