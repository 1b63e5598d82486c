internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird
internal import Logging

extension Problem {
    /// The only place that maps errors to responses.
    init(_ error: any Error, requestID: String, logger: Logger) {
        switch error {
        case let problem as Problem: self = problem
        case let error as IngestError: self = Problem(error)
        case let error as StoreError where error.code != .refused:
            logger.warning("The store did not answer a request", metadata: ["error": "\(error)"])
            self = Problem(.storeUnavailable, "The store did not answer in time. Ask again in a moment.")
        case let error as ExpiredRangeError: self = Problem(error)
        case let error as QueryTooLargeError: self = Problem(error)
        case let error as QueryLimitError: self = Problem(error)
        case let error as ErasureError: self = Problem(error)
        case let error as KeyError: self = Problem(error)
        case let error as KeyRefusal: self = Problem(error)
        case let error as ProjectError: self = Problem(error)
        case let error as SessionRefusal: self = Problem(error)
        case let error as SignInError: self = Problem(error)
        case let error as AccountError: self = Problem(error)
        case is HasherBusy: self = .tooManySignIns
        case let error as IdentityProviderError:
            logger.log(level: error.code == .unavailable ? .warning : .info, "Nobody was signed in", metadata: ["error": "\(error)"])
            self = Problem(error)
        case is CancellationError:
            self = Problem(.overloaded, "The service is stopping. Ask again in a moment.")
        default:
            logger.error("A request failed", metadata: ["error": "\(error)"])
            self = Problem(.internal, "This is a fault of the service's, logged as request \(requestID).") { writer in
                writer.member("requestId", requestID)
            }
        }
    }
}

extension Problem {
    init(_ error: ExpiredRangeError) {
        let watermark = error.watermark.rfc3339
        let kept =
            switch error.reason {
            case .cutMinute: "their counts are kept per minute: 'from' and 'to' before it must be whole minutes."
            case .untoldBefore:
                "this question also needs events before 'from': 24 hours for sessions, the whole first period for retention. Use a later 'from'."
            case .untoldSelection: "their counts are kept by type and source only: use a later 'from'."
            }
        self.init(.expiredRange, "Events before \(watermark) are deleted and \(kept)") { $0.member("watermark", watermark) }
    }
}

extension Problem {
    init(_ error: QueryTooLargeError) {
        switch error.reason {
        case .tooManyGroups:
            self.init(
                .queryTooLarge,
                "This range has more types or sources than one answer can count. Ask for a shorter range, with 'from' and 'to', or for some "
                    + "of them, with 'type' or 'source'.")
        case .tooManyEvents:
            self.init(
                .queryTooLarge,
                "This range has too many events that segments do not cover: they have just arrived, or a filter or property has no "
                    + "column. Ask for a shorter range, with 'from' and 'to', or for fewer events, with 'type', 'source' or other filters.")
        case .tooManyKeys:
            self.init(
                .queryTooLarge,
                "This question has more users, keys or values than fit in memory. Ask for a shorter range, with 'from' and 'to', or for fewer "
                    + "events, with 'type', 'source' or other filters.")
        case .uncounted(let minute):
            self.init(
                .queryTooLarge,
                "The minute \(minute.rfc3339) had more types and sources than its count keeps, and its events are deleted. Ask for a range without it, "
                    + "with 'from' and 'to'."
            ) { $0.member("minute", minute.rfc3339) }
        }
    }
}

extension Problem {
    init(_ error: QueryLimitError) {
        switch error {
        case .tooMany:
            self.init(.overloaded, "Too many questions are being answered at the moment. Ask again in a moment.")
        case .timeout(let limit):
            self.init(
                .queryTimeout,
                "The question was not answered within \(Int(limit.seconds)) s and was stopped. Ask for a shorter range ('from', 'to'), or name "
                    + "types, users or correlation ids, which have indexes: conditions on data alone read every event of the range."
            ) { $0.member("timeoutSeconds", Int64(limit.seconds)) }
        }
    }
}

extension Problem {
    init(_ error: ErasureError) {
        switch error {
        case .everything:
            self.init(
                .invalidParameter,
                "This would erase every event of the project. Name users, anonymous ids, types, sources, properties or a range of time.")
        case .tooMany:
            self.init(
                .tooManyErasures,
                "Tombstones are kept for ever, and the project has the maximum. Name several users in one erasure (up to 100 per request, "
                    + "1,000 on the command line); at most 1,000 erasures may name no user.")
        case .failed:
            self.init(
                .invalidParameter,
                "The erasure has failed, and its conditions are not kept. Request it again, as its failure says.")
        case .tooLarge:
            self.init(
                .tooManyErasures,
                "The tombstones of the project would take more than 16 MiB, some million ids, which each processor holds in memory. Nothing was "
                    + "requested. Erase by type, source or time, which needs no ids.")
        }
    }
}

extension Problem {
    init(_ error: KeyError) {
        switch error {
        case .unknownProject: self = .projectNotFound
        case .tooMany:
            self.init(
                .invalidParameter, "The project has \(Keys.maximum) valid keys, which is the maximum. Revoke those that are no longer used."
            )
        case .invalidName:
            self = QueryParameters.invalid("name", "may have \(StoredKey.longestName) bytes, without control characters.")
        case .invalidExpiry:
            self.init(.invalidParameter, "A key expires in the future, and is rotated before it is revoked or expires.")
        }
    }
}

extension Problem {
    init(_ error: ProjectError) {
        self =
            switch error {
            case .exists(let project): Problem(.projectExists, "There is a project '\(project)' already. Choose another id.")
            case .invalidTitle:
                QueryParameters.invalid("title", "may have \(ProjectRecord.longestTitle) bytes, without control characters.")
            case .invalidOrigin(let text):
                QueryParameters.invalid(
                    "allowedOrigins",
                    "may not hold '\(text.clipped)'. Name the scheme and host of a site, as in https://shop.example or http://localhost:8080."
                )
            case .tooManyOrigins: QueryParameters.invalid("allowedOrigins", "may hold \(ProjectRecord.maximumOrigins) origins.")
            case .invalidRates:
                Problem(
                    .invalidParameter,
                    "A rate is an integer from \(ProjectRates.allowed.lowerBound) to \(ProjectRates.allowed.upperBound), or null.")
            }
    }
}

extension Problem {
    init(_ error: IngestError) {
        if let rate = error.rate {
            self = .rateLimited(rate, of: .events)
        } else {
            self.init(error.problemCode, error.message)
        }
    }
}

extension IngestError {
    fileprivate var problemCode: ProblemCode {
        switch code {
        case .invalidJSON: .invalidJSON
        case .invalidEnvelope: .invalidEnvelope
        case .emptyBatch: .emptyBatch
        case .tooManyEvents: .tooManyEvents
        case .rateExceeded: .rateLimited
        }
    }
}

/// Maps every error to a response. Maps unknown routes to 404 or 405, and responds to OPTIONS.
struct ProblemMiddleware: RouterMiddleware {
    let routes: RouteTable
    /// Says which sites' pages may send events; `nil`: none.
    let projects: ProjectDirectory?
    /// The service's own, not that of a proxy.
    let hasTLS: Bool

    func handle(
        _ request: Request, context: APIRequestContext, next: (Request, APIRequestContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do {
            response = try await next(request, context)
        } catch {
            let problem = self.response(to: error, request, context)
            response = request.method == .head ? problem.createHeadResponse() : problem
        }
        response.headers.append(.noSniffing)
        // `localhost` is also the name of other services, which have no TLS.
        if hasTLS, !SiteRule.isLocalhost(SiteRule.host(of: request.head.authority ?? "")) { response.headers.append(.onlyTLS) }
        return response
    }

    private func response(to error: any Error, _ request: Request, _ context: APIRequestContext) -> Response {
        guard let error = error as? HTTPError, error.status == .notFound else {
            return Problem(error, requestID: context.id, logger: context.logger).response()
        }
        guard let allowed = routes.methods(at: request.uri.path) else {
            return Problem(.notFound, "Nothing is served at \(request.uri.path.clipped); /docs lists what is.").response()
        }
        let allow = allowed.map(\.rawValue).joined(separator: ", ")
        if request.method == .options {
            let preflight = CrossOrigin.preflight(
                request.headers, scope: { routes.scope(of: $0, at: request.uri.path) }, allows: { projects?.allows($0) ?? false })
            var headers: HTTPFields = [.allow: allow]
            headers.append(contentsOf: preflight ?? [:])
            return Response(status: .noContent, headers: headers)
        }
        var problem = Problem(.methodNotAllowed, "\(request.method.rawValue.clipped) is not possible here; \(allow) is.")
        problem.headers[.allow] = allow
        return problem.response()
    }
}

extension HTTPField {
    /// A browser takes the answer for its own type only: no JSON as a script or a page.
    static let noSniffing = HTTPField(name: .xContentTypeOptions, value: "nosniff")

    /// A browser calls this host over TLS only, for a year (RFC 6797).
    static let onlyTLS = HTTPField(name: .strictTransportSecurity, value: "max-age=31536000")
}

extension SubmissionResult {
    /// The reason that callers get. The broker's own reason would show hosts and ports.
    package static let whyUnconfirmed = "the broker is down, full, or has not confirmed in time"

    /// Logs the broker's own reason.
    func logUnconfirmed(to logger: Logger) {
        guard let reason = unconfirmedReason else { return }
        logger.warning("The broker did not confirm a request", metadata: ["error": "\(reason)"])
    }
}
