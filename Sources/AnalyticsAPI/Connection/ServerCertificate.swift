package import AnalyticsCore
internal import Foundation
internal import NIOCertificateReloading
internal import NIOCore
package import NIOSSL
internal import Synchronization

/// The certificate of the servers and its key, from two PEM files that may be exchanged while the servers run.
///
/// A new connection uses the newest pair that could be used. Open connections keep theirs.
package final class ServerCertificate: CertificateReloader {
    package enum File: Sendable {
        case certificate
        case key
    }

    /// A file that cannot be used.
    package struct Failure: Error, Equatable {
        package var file: File
        package var reason: String
    }

    package enum Reloading: Sendable, Equatable {
        /// The files are as they were, also if they cannot be used.
        case unchanged
        case exchanged
        /// The pair in use stays.
        case refused(Failure)
    }

    private enum Content: Equatable {
        case read(certificate: [UInt8], key: [UInt8])
        case unreadable(Failure)
    }

    /// Bytes per file that are read.
    private static let longestFile = 1 << 20

    private let certificateFile: String
    private let keyFile: String
    private let inUse: Mutex<NIOSSLContextConfigurationOverride>
    private let seen: Mutex<Content>

    /// Reads the files, so it blocks.
    package init(certificate: String, key: String) throws(Failure) {
        (certificateFile, keyFile) = (certificate, key)
        let content = Self.content(certificate, key)
        inUse = Mutex(try Self.pair(content))
        seen = Mutex(content)
    }

    /// Reads the files, so it blocks.
    ///
    /// - Parameter evenIfSeen: Tell the state of files that have not changed, too.
    package func reload(evenIfSeen: Bool = false) -> Reloading {
        seen.withLock { seen in
            let content = Self.content(certificateFile, keyFile)
            guard evenIfSeen || content != seen else { return .unchanged }
            seen = content
            do throws(Failure) {
                let pair = try Self.pair(content)
                inUse.withLock { $0 = pair }
                return .exchanged
            } catch {
                return .refused(error)
            }
        }
    }

    /// The library asks for it in each handshake.
    package var sslContextConfigurationOverride: NIOSSLContextConfigurationOverride { inUse.withLock { $0 } }

    /// When the certificate in use expires.
    package var expiry: Timestamp? {
        guard case .certificate(let first)? = sslContextConfigurationOverride.certificateChain?.first else { return nil }
        return Timestamp(milliseconds: Int64(first.notValidAfter) * 1000)
    }

    /// For HTTP/1.1.
    func configuration() throws -> TLSConfiguration {
        var configuration = try TLSConfiguration.makeServerConfiguration(certificateReloader: self)
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        // The client's close_notify is not waited for (RFC 8446, section 6.1): a client that never sends it would keep its place.
        configuration.shutdownTimeout = .zero
        return configuration
    }

    // MARK: Reading

    private static func content(_ certificate: String, _ key: String) -> Content {
        do throws(Failure) {
            return .read(certificate: try bytes(of: certificate, .certificate), key: try bytes(of: key, .key))
        } catch {
            return .unreadable(error)
        }
    }

    private static func bytes(of path: String, _ file: File) throws(Failure) -> [UInt8] {
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? handle.close() }
            return [UInt8](try handle.read(upToCount: longestFile) ?? Data())
        } catch {
            throw Failure(file: file, reason: error.localizedDescription)
        }
    }

    private static func pair(_ content: Content) throws(Failure) -> NIOSSLContextConfigurationOverride {
        switch content {
        case .read(let certificate, let key): return try pair(certificate, key)
        case .unreadable(let failure): throw failure
        }
    }

    private static func pair(_ certificate: [UInt8], _ key: [UInt8]) throws(Failure) -> NIOSSLContextConfigurationOverride {
        guard !certificate.isEmpty, let chain = try? NIOSSLCertificate.fromPEMBytes(certificate) else {
            throw Failure(file: .certificate, reason: "no certificate in PEM format")
        }
        guard !key.isEmpty, let key = try? NIOSSLPrivateKey(bytes: key, format: .pem) else {
            throw Failure(file: .key, reason: "no private key in PEM format, or one with a password")
        }
        var pair = NIOSSLContextConfigurationOverride()
        pair.certificateChain = chain.map { .certificate($0) }
        pair.privateKey = .privateKey(key)
        let trial = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        guard (try? NIOSSLContext(configuration: trial)) != nil else {
            throw Failure(file: .key, reason: "not the key of the first certificate")
        }
        return pair
    }
}
