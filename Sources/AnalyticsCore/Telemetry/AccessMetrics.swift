internal import CoreMetrics

/// The counters of keys, sessions, refused requests and rates. Names and meaning: ``MetricCatalogue``.
package enum AccessMetrics {
    /// Why a request is refused. The values are the codes of the answers.
    package enum Refusal: String, CaseIterable {
        case missingKey = "missing_key"
        case invalidKey = "invalid_key"
        case revokedKey = "revoked_key"
        case expiredKey = "expired_key"
        case invalidSession = "invalid_session"
        case tooManyAttempts = "too_many_attempts"
        case storeUnavailable = "store_unavailable"
        case insufficientScope = "insufficient_scope"
        case projectArchived = "project_archived"
        case originNotAllowed = "origin_not_allowed"
    }

    /// How a key was looked up.
    enum LookUp: String, CaseIterable {
        case hit
        case miss
        case stale
        case limited
        case error
    }

    static let limitedRequests = MetricCatalogue.metrics.rateLimitedRequests.make()
    static let limitedEvents = MetricCatalogue.metrics.rateLimitedEvents.make()

    private static let refusals = Dictionary(
        uniqueKeysWithValues: Refusal.allCases.map { ($0, MetricCatalogue.metrics.requestsRefused.make($0.rawValue)) })
    private static let lookUps = Dictionary(
        uniqueKeysWithValues: LookUp.allCases.map { ($0, MetricCatalogue.metrics.keyLookUps.make($0.rawValue)) })

    /// ``KeyDirectory`` and ``SessionDirectory`` count their own refusals.
    package static func refused(_ reason: Refusal) { refusals[reason]?.increment() }

    static func lookedUp(_ how: LookUp) { lookUps[how]?.increment() }

    /// Registers each counter at 0.
    static func prepare() {
        _ = (limitedRequests, limitedEvents, refusals, lookUps)
    }
}
