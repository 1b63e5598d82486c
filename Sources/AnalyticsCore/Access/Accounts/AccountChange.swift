/// New values of an account. Members that are `nil` stay as they are.
public struct AccountChange: Sendable, Equatable {
    /// Empty for none.
    public var name: String?
    public var isAdministrator: Bool?
    /// Disabling ends all sessions.
    public var isDisabled: Bool?

    public init(name: String? = nil, isAdministrator: Bool? = nil, isDisabled: Bool? = nil) {
        self.name = name
        self.isAdministrator = isAdministrator
        self.isDisabled = isDisabled
    }

    /// Without what the account has already.
    func without(_ account: Account) -> AccountChange {
        var change = self
        if let name, name.equalsUTF8(account.name) { change.name = nil }
        if isAdministrator == account.isAdministrator { change.isAdministrator = nil }
        if isDisabled == (account.disabledAt != nil) { change.isDisabled = nil }
        return change
    }

    /// What it changes, for the audit log.
    var details: String {
        var parts: [String] = []
        if let name { parts.append("name: \(name.quoted)") }
        if let isAdministrator { parts.append("administrator: \(isAdministrator)") }
        if let isDisabled { parts.append("disabled: \(isDisabled)") }
        return parts.joined(separator: "; ")
    }
}
