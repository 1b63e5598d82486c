internal import AnalyticsCore
internal import HTTPTypes

/// What browsers are told about requests of other sites' pages (Fetch, section 3.2). Pure.
///
/// Never `Access-Control-Allow-Credentials`: a page of another site that has a key sends it itself, and may not use a session.
enum CrossOrigin {
    /// For the answer to a page that may read it.
    static func answer(to origin: String) -> HTTPFields {
        [
            .accessControlAllowOrigin: origin, .vary: "Origin",
            .accessControlExposeHeaders: "retry-after, ratelimit, ratelimit-policy",
        ]
    }

    /// For the answer to a preflight; `nil` if the request is none, or is not allowed. A preflight carries no key, so it has no project.
    /// The request that follows is checked against its own.
    ///
    /// - Parameters:
    ///   - scope: The scope of the route with a method at the path.
    ///   - allows: Whether some project allows an origin.
    static func preflight(
        _ headers: HTTPFields, scope: (HTTPRequest.Method) -> Scope?, allows: (String) -> Bool
    ) -> HTTPFields? {
        guard let origin = headers[.origin], let method = headers[.accessControlRequestMethod].flatMap({ HTTPRequest.Method($0) }),
            scope(method) == .write, allows(origin)
        else { return nil }
        return [
            .accessControlAllowOrigin: origin, .vary: "Origin", .accessControlAllowMethods: method.rawValue,
            .accessControlAllowHeaders: "authorization, content-type, x-api-key, idempotency-key",
            // Two hours, the longest that Chromium keeps it.
            .accessControlMaxAge: "7200",
        ]
    }
}
