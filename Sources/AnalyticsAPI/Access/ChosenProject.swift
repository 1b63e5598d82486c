internal import AnalyticsCore
internal import HTTPTypes
internal import Hummingbird

/// The project that a request with a session is for: `X-Project`, or the parameter `project` of links and event streams, which set no
/// headers. It selects among the projects of the account, and gives no right. Pure.
enum ChosenProject {
    static let parameter = "project"

    /// `nil` if the request names none.
    static func name(of request: Request) throws(Problem) -> String? {
        do throws(Problem) {
            let header = try request.headers.single(.xProject)
            let queried = try QueryParameters([request.uri.query ?? ""], allowed: nil).single(parameter)
            guard let header, let queried, !header.equalsUTF8(queried) else { return header ?? queried }
            throw QueryParameters.invalid(parameter, "and X-Project name two different projects.")
        } catch {
            throw error.closingConnection()
        }
    }

    /// The request without the parameter, which no route knows. Everything else of the query stays as it was sent.
    static func removed(from request: Request) -> Request {
        guard let query = request.uri.query else { return request }
        let kept = query.splitUTF8("&").filter { pair in
            PercentEncoding.decode(pair.cutUTF8(atFirst: "=")?.before ?? pair, plusIsSpace: true)?.equalsUTF8(parameter) != true
        }
        var head = request.head
        head.path = request.uri.path + (kept.isEmpty ? "" : "?" + kept.joined(separator: "&"))
        return Request(head: head, body: request.body)
    }
}

extension HTTPField.Name {
    static let xProject = HTTPField.Name("X-Project")!
}
