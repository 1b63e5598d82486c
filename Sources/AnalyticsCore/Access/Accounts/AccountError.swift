/// Why an account was not made or changed.
public enum AccountError: Error, Sendable, Equatable, CustomStringConvertible {
    case exists(EmailAddress)
    case invalidName
    case tooManyRoles
    case tooMany
    case unknownProject(ProjectID)
    /// It was changed by others, each time that this was tried.
    case conflict
    /// What is wrong with the password.
    case weakPassword(String)

    public var description: String {
        switch self {
        case .exists(let email): "there is an account with the address \(email) already"
        case .invalidName: "a name has at most \(Account.longestName) bytes and no control characters"
        case .tooManyRoles: "an account has roles in at most \(Account.maximumRoles) projects, and in fewer if their names are long"
        case .tooMany: "there are \(Accounts.maximum) accounts, which is the maximum; remove some that are no longer used"
        case .unknownProject(let project): "there is no project '\(project)'; create it first"
        case .conflict: "the account was changed by others at the same time; try it again"
        case .weakPassword(let fault): fault
        }
    }
}
