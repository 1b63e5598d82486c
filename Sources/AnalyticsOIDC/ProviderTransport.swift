internal import AnalyticsCore
internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL

struct ProviderRequest: Sendable {
    var url: SecureURL
    /// The fields of a form, which is posted; `nil`: it is a GET.
    var form: [(name: String, value: String)]?
    /// The header.
    var authorization: String?

    var body: String? {
        form.map { fields in fields.map { "\(PercentEncoding.encode($0.name))=\(PercentEncoding.encode($0.value))" }.joined(separator: "&")
        }
    }
}

struct ProviderAnswer: Sendable {
    var status: Int
    var body: [UInt8]
}

/// Calls the provider. Follows no redirects, and limits time and size.
protocol ProviderTransport: Sendable {
    func send(_ request: ProviderRequest) async throws(IdentityProviderError) -> ProviderAnswer
}

/// Over HTTP, with a connection for each call: people sign in rarely.
struct HTTPProviderTransport: ProviderTransport {
    /// Of a whole call.
    private static let limit: Duration = .seconds(10)
    private static let longestBody = 1 << 20

    func send(_ request: ProviderRequest) async throws(IdentityProviderError) -> ProviderAnswer {
        do {
            return try await Deadline.within(Self.limit) {
                try await Deadline.enforce { try await Self.exchange(request) }
            }
        } catch {
            throw IdentityProviderError(.unavailable, "no answer from \(request.url.text): \(error)")
        }
    }

    private static func exchange(_ request: ProviderRequest) async throws -> ProviderAnswer {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        var configuration = HTTPClient.Configuration()
        configuration.tlsConfiguration = tls
        configuration.redirectConfiguration = .disallow
        // A person waits.
        configuration.connectionPool.retryConnectionEstablishment = false
        return try await HTTPClient.withHTTPClient(configuration: configuration) { client in
            var message = HTTPClientRequest(url: request.url.text)
            message.headers.add(name: "accept", value: "application/json")
            if let authorization = request.authorization { message.headers.add(name: "authorization", value: authorization) }
            if let body = request.body {
                message.method = .POST
                message.headers.add(name: "content-type", value: "application/x-www-form-urlencoded")
                message.body = .bytes(ByteBuffer(string: body))
            }
            let response = try await client.execute(message, deadline: .distantFuture)
            let body = try await response.body.collect(upTo: longestBody)
            return ProviderAnswer(status: Int(response.status.code), body: Array(body.readableBytesView))
        }
    }
}
