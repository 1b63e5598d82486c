import Foundation
import GzipCodec
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Testing

@testable import AnalyticsAPI

struct DocumentTests {
    @Test(arguments: ["/openapi.json", "/docs"])
    func `a document is the same, compressed or not`(path: String) async throws {
        try await TestService().run { client in
            let plain = try await client.get(path)
            #expect(plain.headers[.contentEncoding] == nil && plain.headers[.vary] == "Accept-Encoding")
            let compressed = try await client.executeRequest(uri: path, method: .get, headers: [.acceptEncoding: "br, gzip"], body: nil)
            #expect(compressed.headers[.contentEncoding] == "gzip")
            #expect(compressed.body.readableBytes * 2 < plain.body.readableBytes)
            #expect(try Gzip.decompress(Array(compressed.body.readableBytesView)) == Array(plain.body.readableBytesView))
        }
    }

    /// `LeakTableTests` compares the scopes with those of the routes.
    @Test func `every operation says which key it needs, and how it refuses others`() async throws {
        try await TestService().run { client in
            let json = try await client.get("/openapi.json").json
            let paths = try #require(json["paths"] as? [String: [String: [String: Any]]])
            let schemes = try #require((json["components"] as? [String: [String: Any]])?["securitySchemes"])
            for (name, operation) in paths.flatMap({ path, methods in methods.map { ("\($0.key) \(path)", $0.value) } }) {
                let security = try #require(operation["security"] as? [[String: [String]]], "\(name)")
                #expect(security.flatMap(\.keys).allSatisfy { schemes[$0] != nil }, "\(name)")
                guard let role = security.first?.values.first?.first else { continue }
                let description = operation["description"] as? String
                #expect(description?.contains(role == "instance" ? "`ADMIN_TOKEN`" : "Needs the scope `\(role)`") == true, "\(name)")
                let answers = operation["responses"] as? [String: Any]
                #expect(["401", "403", "429"].allSatisfy { answers?[$0] != nil }, "\(name)")
            }
        }
    }

    @Test(
        arguments: zip(
            ["gzip", "GZIP;q=0.1", "br;q=1.0, gzip ;q=0.5", "*", "x-gzip", "", "identity", "gzip;q=0", "*;q=0", "gzip;q=0, *", "gzipped"],
            [true, true, true, true, true, false, false, false, false, false, false]))
    func `gzip is sent to those who take it`(field: String, takesIt: Bool) {
        #expect(AcceptEncoding.takesGzip(field) == takesIt)
        #expect(!AcceptEncoding.takesGzip(nil))
    }
}
