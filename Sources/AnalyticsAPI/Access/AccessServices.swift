public import AnalyticsCore

/// The services behind projects and their keys.
public struct AccessServices: Sendable {
    var keys: Keys
    var projects: Projects
    var directory: ProjectDirectory
    var rates: RateLimiter

    /// - Parameters:
    ///   - directory: Says which projects are archived, and which sites they allow.
    ///   - rates: Counts requests. The collector counts events by the same.
    public init(keys: Keys, projects: Projects, directory: ProjectDirectory, rates: RateLimiter) {
        self.keys = keys
        self.projects = projects
        self.directory = directory
        self.rates = rates
    }

    /// Takes a request of the project. Throws if it is archived and the request would send events, or if it has used up its rate.
    ///
    /// Returns what is left of the project's rate of requests; `nil` if it has none.
    func admit(_ principal: Principal, _ scope: Scope) throws(Problem) -> Rate? {
        if scope == .write, directory.isArchived(principal.project) {
            throw Problem(
                .projectArchived, "The project '\(principal.project)' is archived and accepts no events. Its administrator can restore it."
            ).closingConnection()
        }
        guard let rate = rates.takeRequest(of: principal.project, sendsEvents: scope == .write) else { return nil }
        guard rate.isAllowed else { throw Problem.rateLimited(rate, of: .requests).closingConnection() }
        return rate
    }
}
