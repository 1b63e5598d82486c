import AnalyticsCore
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import NIOSSL
import TestSupport
import Testing

@testable import AnalyticsAPI

/// The certificate that handshakes get, when its files change.
struct ServerCertificateTests {
    /// - Parameter body: Gets the certificate of `own`, the files of it and of another pair.
    private func withCertificate(
        _ body: (
            _ certificate: ServerCertificate, _ own: (certificate: URL, key: URL), _ other: (certificate: URL, key: URL)
        ) async throws -> Void
    ) async throws {
        let authority = try await TestAuthority()
        defer { authority.remove() }
        let (own, other) = (try await authority.issue("own"), try await authority.issue("other"))
        let certificate = try ServerCertificate(certificate: own.certificate.path, key: own.key.path)
        try await body(certificate, own, other)
    }

    /// The file that is refused.
    private func refused(_ reloading: ServerCertificate.Reloading) -> ServerCertificate.File? {
        if case .refused(let failure) = reloading { failure.file } else { nil }
    }

    @Test func `a pair is exchanged when both files have changed, and not while they do not belong together`() async throws {
        try await withCertificate { certificate, own, other in
            let first = try #require(certificate.sslContextConfigurationOverride.certificateChain)
            #expect(certificate.reload() == .unchanged)
            try Data(contentsOf: other.certificate).write(to: own.certificate)
            #expect(refused(certificate.reload()) == .key)
            #expect(certificate.sslContextConfigurationOverride.certificateChain == first)
            try Data(contentsOf: other.key).write(to: own.key)
            #expect(certificate.reload() == .exchanged)
            #expect(certificate.sslContextConfigurationOverride.certificateChain != first)
            #expect(certificate.reload() == .unchanged)
        }
    }

    @Test func `a file that cannot be used is told once, or when it is asked for`() async throws {
        try await withCertificate { certificate, own, _ in
            let pem = try Data(contentsOf: own.certificate)
            for broken in [Data(), Data("no certificate".utf8), pem.prefix(100)] {
                try broken.write(to: own.certificate)
                #expect(refused(certificate.reload()) == .certificate)
                #expect(certificate.reload() == .unchanged)
                #expect(refused(certificate.reload(evenIfSeen: true)) == .certificate)
            }
            try FileManager.default.removeItem(at: own.key)
            try pem.write(to: own.certificate)
            #expect(refused(certificate.reload()) == .key)
            #expect(certificate.sslContextConfigurationOverride.privateKey != nil)
        }
    }

    @Test func `a chain and a key with other blocks before it are read, as openssl and certbot write them`() async throws {
        try await withCertificate { certificate, own, other in
            try (Data(contentsOf: own.certificate) + Data(contentsOf: other.certificate)).write(to: own.certificate)
            // openssl ecparam -name prime256v1 -genkey
            let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
            try (Data(parameters.utf8) + Data(contentsOf: own.key)).write(to: own.key)
            #expect(certificate.reload() == .exchanged)
            #expect(certificate.sslContextConfigurationOverride.certificateChain?.count == 2)
        }
    }

    @Test func `it says when it expires`() async throws {
        try await withCertificate { certificate, _, _ in
            let expiry = try #require(certificate.expiry)
            let now = Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
            #expect(now < expiry && expiry < Timestamp(milliseconds: now.milliseconds + 3 * 86_400_000))
        }
    }

    @Test func `with a certificate, browsers are told to stay with TLS, but not for a name that other services have`() async throws {
        try await withCertificate { certificate, _, _ in
            var settings = APISettings()
            settings.certificate = certificate
            let cases = [
                (settings, "analytics.example:4000", true), (settings, "127.0.0.1", true), (settings, "LocalHost:4000", false),
                (settings, "app.localhost", false), (APISettings(trustedProxies: 1), "analytics.example", false),
            ]
            for (settings, host, isTold) in cases {
                // Without TLS itself: only the answers matter.
                let router = makeRouter(services: TestService().services, settings: settings)
                try await Application(router: router, logger: TestService.quiet).test(.live) { client in
                    for path in ["/health/live", "/nothing"] {
                        let ask = "GET \(path) HTTP/1.1\r\nHost: \(host)\r\nX-Forwarded-Proto: https\r\n\r\n"
                        let answer = try await RawConnection(port: client.port!).exchange([ask], until: "\r\n\r\n")
                        let isInAnswer = answer.text.lowercased().contains("strict-transport-security: max-age=31536000\r\n")
                        #expect(answer.status != nil && isInAnswer == isTold, "\(host) \(answer.text)")
                    }
                }
            }
        }
    }

    @Test func `with a certificate, cookies need TLS and pages without it are of another site`() async throws {
        try await withCertificate { certificate, _, _ in
            var settings = APISettings()
            let head = HTTPRequest(method: .get, scheme: "http", authority: "localhost:4000", path: "/")
            let request = Request(head: head, body: RequestBody(buffer: ByteBuffer()))
            #expect(TransportRule(settings).isLocal(request, from: "127.0.0.1") && !TransportRule(settings).isSecure(request))
            settings.certificate = certificate
            #expect(!TransportRule(settings).isLocal(request, from: "127.0.0.1") && TransportRule(settings).isSecure(request))
        }
    }

    @Test func `HTTP has TLS 1.2 or later and no HTTP 2, and a close does not wait`() async throws {
        try await withCertificate { certificate, _, _ in
            let configuration = try certificate.configuration()
            #expect(configuration.minimumTLSVersion == .tlsv12 && configuration.applicationProtocols == ["http/1.1"])
            #expect(configuration.shutdownTimeout == .zero)
        }
    }
}
