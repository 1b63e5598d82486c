internal import AnalyticsCore
internal import AnalyticsJSON
internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// An answer that says what went wrong and what to do, as `application/problem+json` (RFC 9457).
struct Problem: Error {
    var status: HTTPResponse.Status
    var code: String
    var title: String
    /// For a person: what is wrong with this very request, and what to do about it.
    var detail: String
    var headers: HTTPFields = [:]
    /// Members of its own, written behind the common ones.
    var members: @Sendable (inout JSONWriter) -> Void = { _ in }

    init(_ code: ProblemCode, _ detail: String, members: @escaping @Sendable (inout JSONWriter) -> Void = { _ in }) {
        status = code.status
        self.code = code.rawValue
        title = code.title
        self.detail = detail
        self.members = members
        // Every other 503 of ours passes by itself: outages end, and bodies in memory are worked off.
        if status == .serviceUnavailable, code != .queryTooLarge { headers[.retryAfter] = "1" }
    }

    /// A single event's rejection.
    init(_ rejection: Rejection) {
        status = .badRequest
        code = rejection.code.rawValue
        title = "The event was rejected"
        detail = rejection.message.clipped
        members = { writer in
            writer.member("id", rejection.id)
            writer.member("field", rejection.field?.clipped)
        }
    }

    /// The rest of the body is not read: the connection cannot be used again.
    func closingConnection() -> Problem {
        var problem = self
        problem.headers[.connection] = "close"
        return problem
    }

    func content() -> (headers: HTTPFields, body: [UInt8]) {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("type", "/docs#problem-\(code)")
        writer.member("title", title)
        writer.member("status", Int64(status.code))
        writer.member("code", code)
        writer.member("detail", detail)
        members(&writer)
        writer.endObject()
        var headers = headers
        headers[.contentType] = "application/problem+json"
        headers[.contentLength] = String(writer.count)
        headers[.cacheControl] = "no-store"
        return (headers, writer.bytes)
    }

    func response() -> Response {
        let (headers, body) = content()
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }
}

extension Problem {
    static let headersTooLarge = Problem(
        .headersTooLarge, "The request line and headers are larger than this service reads; send less of them."
    ).closingConnection()

    static let malformedRequest = Problem(.malformedRequest, "The request cannot be read as HTTP/1.1.").closingConnection()
}

extension String {
    /// Keys and values of the client's come back in what we say about them, and may be long: at most 600 bytes of them, whole scalars.
    var clipped: String {
        let limit = 600
        guard utf8.count > limit else { return self }
        var bytes = 0
        let end = unicodeScalars.firstIndex { scalar in
            bytes += UTF8.width(scalar)
            return bytes > limit
        }
        return String(self[..<(end ?? endIndex)]) + "…"
    }
}
