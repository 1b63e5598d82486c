package import AnalyticsCore
package import AnalyticsJSON

// Members of keys, projects, accounts and entries of the audit log, as routes and commands write them.
extension JSONWriter {
    package mutating func members(of key: StoredKey) { members(of: key, text: nil) }

    package mutating func members(of record: ProjectRecord) {
        member("id", record.project.name)
        nullable("title", record.title)
        nullable("timeZone", record.timeZone?.text)
        nullable("retentionDays", record.retentionDays)
        list("properties", record.properties.map(\.text))
        key("visitorIds")
        boolean(record.hasVisitorIds)
        list("allowedOrigins", record.origins)
        nullable("requestsPerSecond", record.rates.requestsPerSecond)
        nullable("eventsPerSecond", record.rates.eventsPerSecond)
        nullable("createdAt", record.createdAt?.rfc3339)
        nullable("archivedAt", record.archivedAt?.rfc3339)
    }

    package mutating func members(of account: Account) {
        basicMembers(of: account)
        key("roles")
        beginObject()
        for (project, role) in account.roles.sorted(by: { $0.key < $1.key }) {
            key(project.name)
            string(role.rawValue)
        }
        endObject()
        member("createdAt", account.createdAt.rfc3339)
        nullable("disabledAt", account.disabledAt?.rfc3339)
    }

    package mutating func members(of entry: AuditEntry) {
        member("id", entry.id)
        member("time", entry.time.rfc3339)
        member("actor", entry.actor)
        member("action", entry.action.rawValue)
        nullable("project", entry.project?.name)
        member("target", entry.target)
        member("details", entry.details)
        nullable("address", entry.address)
    }
}

extension JSONWriter {
    /// - Parameter text: The key itself, which is shown when it is made.
    mutating func members(of stored: StoredKey, text: String?) {
        member("id", stored.id)
        member("key", text)
        member("project", stored.project.name)
        member("scope", stored.scope.rawValue)
        member("name", stored.name)
        member("prefix", stored.prefix)
        member("maker", stored.maker)
        nullable("requestsPerSecond", stored.rates.requestsPerSecond)
        nullable("eventsPerSecond", stored.rates.eventsPerSecond)
        member("createdAt", stored.createdAt.rfc3339)
        nullable("expiresAt", stored.expiresAt?.rfc3339)
        nullable("lastUsedAt", stored.lastUsedAt?.rfc3339)
        nullable("revokedAt", stored.revokedAt?.rfc3339)
    }

    /// What an account sees of itself, beside its roles.
    mutating func basicMembers(of account: Account) {
        member("id", account.id)
        member("email", account.email.text)
        member("name", account.name)
        key("administrator")
        boolean(account.isAdministrator)
        key("totp")
        boolean(account.totp?.isOn == true)
    }

    mutating func list(_ name: StaticString, _ values: [String]) {
        key(name)
        beginArray()
        for value in values { string(value) }
        endArray()
    }
}
