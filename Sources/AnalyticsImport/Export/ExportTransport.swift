internal import AnalyticsCore
public import AsyncHTTPClient
internal import Foundation
internal import GzipCodec
internal import NIOCore
internal import NIOHTTP1

/// Calls a service's `/api/v1/events/export`.
public protocol ExportTransport: Sendable {
    /// Calls `receive` with the text as it arrives. Throws an ``ExportFailure`` if a retry does not help. Other errors, and a response
    /// that ends too soon, may be temporary.
    func get(_ parameters: [(name: String, value: String)], _ receive: ([UInt8]) async throws -> Void) async throws
}

/// The service cannot answer now; a retry may help.
struct ExportRefusal: Error, CustomStringConvertible {
    var description: String
}

/// An export over HTTP, with compression.
public struct HTTPExportTransport: ExportTransport {
    private let url: String
    private let key: String?
    private let configuration: HTTPClient.Configuration

    /// `url` is the service's address, `key` a key with the scope `read`. The time limits of `configuration` are set here.
    public init(url: String, key: String?, configuration: HTTPClient.Configuration) {
        self.url = url
        self.key = key
        var configuration = configuration
        // A whole export has no limit; a connection without data for 90 s is closed.
        configuration.timeout = HTTPClient.Configuration.Timeout(connect: .seconds(10), read: .seconds(90))
        self.configuration = configuration
    }

    public func get(_ parameters: [(name: String, value: String)], _ receive: ([UInt8]) async throws -> Void) async throws {
        let query = parameters.map { "\(PercentEncoding.encode($0.name))=\(PercentEncoding.encode($0.value))" }.joined(separator: "&")
        var request = HTTPClientRequest(url: url + "/api/v1/events/export?" + query)
        request.headers.add(name: "accept-encoding", value: "gzip")
        if let key { request.headers.add(name: "authorization", value: "Bearer \(key)") }
        // The shared client decompresses by itself, up to a limit.
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        do {
            try await Self.receive(try await client.execute(request, deadline: .distantFuture), receive)
        } catch {
            try? await client.shutdown()
            throw error
        }
        try await client.shutdown()
    }

    private static func receive(_ response: HTTPClientResponse, _ receive: ([UInt8]) async throws -> Void) async throws {
        guard response.status == .ok else { throw try await refusal(response) }
        guard response.headers.first(name: "content-encoding") == "gzip" else {
            for try await bytes in response.body { try await receive(Array(bytes.readableBytesView)) }
            return
        }
        let inflater = try GzipInflater()
        for try await bytes in response.body {
            var text: [UInt8] = []
            try bytes.withUnsafeReadableBytes { bytes in try inflater.write(bytes) { text.append(contentsOf: $0) } }
            if !text.isEmpty { try await receive(text) }
        }
    }

    private static func refusal(_ response: HTTPClientResponse) async throws -> any Error {
        struct Answer: Decodable {
            var detail: String
        }
        let body = try await response.body.collect(upTo: 1 << 20)
        let detail = (try? JSONDecoder().decode(Answer.self, from: Data(body.readableBytesView)))?.detail ?? "no reason given"
        let text = "the service answers \(response.status.code): \(detail)"
        return response.status.code == 429 || response.status.code >= 500 ? ExportRefusal(description: text) : ExportFailure(text)
    }
}
