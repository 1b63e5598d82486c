/// Creates, lists and changes projects. They are archived, and never deleted.
public struct Projects: Sendable {
    private let store: any ProjectStore & KeyStore & RecordStore
    private let clock: WallClock
    private let audit: AuditLog

    public init(store: any ProjectStore & KeyStore & RecordStore, clock: WallClock, audit: AuditLog) {
        self.store = store
        self.clock = clock
        self.audit = audit
    }

    /// Throws a ``ProjectError`` if the project has a record, or for a title that is not allowed, and a ``KeyRefusal`` unless the store
    /// says that the caller is an administrator of the instance.
    public func create(_ project: ProjectID, title: String?, by administrator: Administrator) async throws -> ProjectRecord {
        if let title { try Self.check(title: title) }
        try await administrator.check(in: store, for: nil, at: clock.now())
        guard try await store.newestRecords(of: [project]).isEmpty else { throw ProjectError.exists(project) }

        let details = title.map { "title: \($0.quoted)" } ?? ""
        try await audit.record(.projectCreate, project: project, target: project.name, details: details, by: administrator)
        guard try await store.createProject(project, at: clock.now()) else { throw ProjectError.exists(project) }
        if let title, !title.isEmpty { try await store.setTitle(of: project, to: title) }
        return try await record(of: project) ?? ProjectRecord(project: project, title: title)
    }

    /// By id.
    public func list() async throws(StoreError) -> [ProjectRecord] {
        try await store.projectRecords().map(Self.shown).sorted { $0.project < $1.project }
    }

    public func record(of project: ProjectID) async throws(StoreError) -> ProjectRecord? {
        try await store.newestRecords(of: [project]).first.map(Self.shown)
    }

    /// Writes the settings one by one; each is in force in all processes within 20 s. `nil` if the project has no record; `default` gets
    /// one.
    ///
    /// Throws a ``ProjectError`` if the title, the origins or the rates are not allowed, and a ``KeyRefusal`` if the store says that the
    /// caller does not manage the project; then nothing is written. The caller has checked that the time zone is known.
    public func change(
        _ project: ProjectID, _ change: ProjectChange, by administrator: Administrator
    ) async throws -> ProjectRecord? {
        var change = change
        if let title = change.title { try Self.check(title: title) }
        change.origins = try change.origins.map(Self.checked)
        if let rates = change.rates { guard rates.isValid else { throw ProjectError.invalidRates } }
        try Self.checkBounds(change)
        guard try await store.hasRecord(of: project, at: clock.now()), let before = try await record(of: project) else { return nil }
        change = change.without(before)
        try await administrator.check(in: store, for: project, at: clock.now())

        try await tell(of: change, of: project, by: administrator)
        try await write(change, of: project)
        return try await record(of: project)
    }

    private func tell(of change: ProjectChange, of project: ProjectID, by administrator: Administrator) async throws(StoreError) {
        let details = change.details
        if !details.isEmpty {
            try await audit.record(.projectChange, project: project, target: project.name, details: details, by: administrator)
        }
        if let isArchived = change.isArchived {
            let action = isArchived ? AuditAction.projectArchive : .projectRestore
            try await audit.record(action, project: project, target: project.name, by: administrator)
        }
    }

    private func write(_ change: ProjectChange, of project: ProjectID) async throws(StoreError) {
        if let title = change.title { try await store.setTitle(of: project, to: title) }
        if let zone = change.timeZone { try await store.setTimeZone(of: project, to: zone) }
        if let days = change.retentionDays { try await store.setRetention(of: project, days: days, at: clock.now()) }
        if let properties = change.properties { try await store.setProperties(of: project, to: properties) }
        if let isOn = change.visitorIds { try await store.setVisitorIds(of: project, to: isOn) }
        if let origins = change.origins { try await store.setOrigins(of: project, to: origins) }
        if let rates = change.rates { try await store.setRates(of: project, to: rates) }
        if let isArchived = change.isArchived { try await store.setArchived(of: project, at: isArchived ? clock.now() : nil) }
    }

    /// A removed title is stored as an empty one.
    private static func shown(_ record: ProjectRecord) -> ProjectRecord {
        var record = record
        if record.title?.isEmpty == true { record.title = nil }
        return record
    }

    private static func check(title: String) throws(ProjectError) {
        guard title.utf8.count <= ProjectRecord.longestTitle, !FieldRules.hasControls(title) else { throw .invalidTitle }
    }

    private static func checked(_ origins: [String]) throws(ProjectError) -> [String] {
        guard origins.count <= ProjectRecord.maximumOrigins else { throw .tooManyOrigins }
        var checked: [String] = []
        for text in origins {
            guard let origin = origin(text) else { throw .invalidOrigin(text) }
            if !checked.contains(where: { $0.equalsUTF8(origin) }) { checked.append(origin) }
        }
        return checked
    }

    /// A record outside these bounds would be taken for damaged. Callers check them with errors of their own.
    private static func checkBounds(_ change: ProjectChange) throws(StoreError) {
        guard (0...RetentionPlan.maximumDays).contains(change.retentionDays ?? 0) else {
            throw StoreError(.refused, operation: StoreOperation.setRetention.rawValue, "the retention is out of bounds")
        }
        guard change.properties?.count ?? 0 <= ProjectRecord.maximumProperties else {
            throw StoreError(.refused, operation: StoreOperation.setProperties.rawValue, "there are too many properties")
        }
    }

    /// An origin as browsers send it (RFC 6454, section 6.2): scheme, host in lower case, and the port unless it is the scheme's own. `nil`
    /// if the text has anything else.
    static func origin(_ text: String) -> String? {
        let text = text.lowercasedASCII()
        guard text.utf8.count <= 300,
            let (scheme, ownPort) = [("https://", "443"), ("http://", "80")].first(where: { text.starts(withUTF8: $0.0) })
        else { return nil }
        var host = text.trimmingUTF8(first: scheme.utf8.count)
        var port = ""
        // The other colons of an IPv6 address are in its brackets.
        if let (before, after) = host.cutUTF8(atLast: ":"), !after.containsUTF8("]") {
            guard let number = UInt16(after), number > 0, after.equalsUTF8(String(number)) else { return nil }
            if !after.equalsUTF8(ownPort) { port = ":\(number)" }
            host = String(before)
        }
        guard isHost(host) else { return nil }
        return scheme + host + port
    }

    /// Names in other scripts are written as browsers send them, in ASCII (`xn--…`).
    private static func isHost(_ text: String) -> Bool {
        if text.starts(withUTF8: "["), text.ends(withUTF8: "]") {
            return ClientAddress(text.trimmingUTF8(first: 1, last: 1))?.networkBytes.count == 16
        }
        return text.splitUTF8(".", omittingEmptySubsequences: false).allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy(isOfHost) }
    }

    private static func isOfHost(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }
}

extension ProjectStore {
    /// Whether the project has a record. `default`, the first project of every store, gets one.
    func hasRecord(of project: ProjectID, at time: Timestamp) async throws(StoreError) -> Bool {
        if try await !newestRecords(of: [project]).isEmpty { return true }
        guard project == .first else { return false }
        _ = try await createProject(project, at: time)
        return true
    }
}

/// Why a project was not created or changed.
public enum ProjectError: Error, Sendable, Equatable, CustomStringConvertible {
    case exists(ProjectID)
    case invalidTitle
    case invalidOrigin(String)
    case tooManyOrigins
    case invalidRates

    public var description: String {
        switch self {
        case .exists(let project): "there is a project '\(project)' already"
        case .invalidTitle: "a title has at most \(ProjectRecord.longestTitle) bytes and no control characters"
        case .invalidOrigin(let text):
            "'\(text.clipped)' is no origin; name the scheme and host of a site, as in https://shop.example or http://localhost:8080"
        case .tooManyOrigins: "a project has at most \(ProjectRecord.maximumOrigins) origins"
        case .invalidRates:
            "a rate is a number from \(ProjectRates.allowed.lowerBound) to \(ProjectRates.allowed.upperBound) per second"
        }
    }
}
