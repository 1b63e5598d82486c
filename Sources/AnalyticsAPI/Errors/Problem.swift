internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// An error response that says what is wrong and what to do, as `application/problem+json` (RFC 9457).
struct Problem: Error {
    var status: HTTPResponse.Status
    var code: String
    var title: String
    /// For a person: what is wrong with this request, and what to do.
    var detail: String
    var headers: HTTPFields = [:]
    /// Further members, written after the common ones.
    private var members: [JSONPart]
    /// The memory that the members hold.
    private var lease: ByteBudget.Lease?

    init(_ code: ProblemCode, _ detail: String, members: @escaping @Sendable (inout JSONWriter) -> Void = { _ in }) {
        self.init(code, detail, holding: nil, [.once(members)])
    }

    init(_ code: ProblemCode, _ detail: String, holding lease: ByteBudget.Lease?, _ members: [JSONPart]) {
        self.lease = lease
        status = code.status
        self.code = code.rawValue
        title = code.title
        self.detail = detail
        self.members = members
        // Every other 503 passes by itself: outages end, and bodies in memory are processed.
        if status == .serviceUnavailable, code != .queryTooLarge { headers[.retryAfter] = "1" }
        // RFC 6750, section 3. Not `Basic`, for which a browser would ask its user.
        if status == .unauthorized { headers[.wwwAuthenticate] = "Bearer realm=\"analytics\"" }
    }

    /// The rejection of a single event.
    init(_ rejection: Rejection) {
        status = .badRequest
        code = rejection.code.rawValue
        title = "The event was rejected"
        detail = rejection.message
        members = [
            .once { writer in
                writer.member("id", rejection.id)
                writer.member("field", rejection.field)
            }
        ]
    }

    /// The rest of the body is not read, so the connection cannot be reused.
    func closingConnection() -> Problem {
        var problem = self
        problem.headers[.connection] = "close"
        return problem
    }

    /// Keeps the connection if the request has no body, or a short one, which is dropped as it comes. For refusals that happen in normal
    /// use: a new connection for each, perhaps with TLS, costs more.
    func keepingConnection(of request: Request?) -> Problem {
        guard let request, request.hasShortBody else { return self }
        var problem = self
        problem.headers[.connection] = nil
        return problem
    }

    /// Adds the detail as `message` for clients that do not know RFC 9457.
    func withMessage() -> Problem {
        var problem = self
        problem.members.append(.once { [detail] in $0.member("message", detail) })
        return problem
    }

    /// For a problem without large members that does not come from a route.
    func content() -> (headers: HTTPFields, body: ByteBuffer) {
        var text = SlicedJSON(parts)
        let body = text.next() ?? ByteBuffer()
        var headers = fields
        headers[.contentLength] = String(body.readableBytes)
        headers.append(.noSniffing)
        return (headers, body)
    }

    func response() -> Response { .json(status, headers: fields, capacity: 512, holding: lease, parts) }

    private var fields: HTTPFields {
        var headers = headers
        headers[.contentType] = "application/problem+json"
        headers[.cacheControl] = "no-store"
        return headers
    }

    private var parts: [JSONPart] {
        let common = JSONPart.once { [code, title, status, detail] writer in
            writer.member("type", "/docs#problem-\(code)")
            writer.member("title", title)
            writer.member("status", Int64(status.code))
            writer.member("code", code)
            writer.member("detail", detail)
        }
        return [common] + members
    }
}

extension Request {
    /// According to its headers. After `Expect` it is unknown whether the body comes.
    fileprivate var hasShortBody: Bool {
        guard headers[.transferEncoding] == nil, headers[.expect] == nil else { return false }
        guard let length = headers[.contentLength] else { return true }
        return Int(length).map { $0 <= 64 * 1024 } ?? false
    }
}

extension Problem {
    static let headersTooLarge = Problem(
        .headersTooLarge, "The request line and headers are larger than this service reads; send less of them."
    ).closingConnection()

    static let malformedRequest = Problem(
        .malformedRequest,
        "The request cannot be read as HTTP/1.1: it needs a request line, one Host, and a body of one Content-Length or in chunks, without other "
            + "codings."
    ).closingConnection()
}
