internal import ArgumentParser
internal import AsyncHTTPClient
internal import NIOSSL

/// `--ca` of the commands that call a running service.
struct TrustOption: ParsableArguments {
    @Option(name: .customLong("ca"), help: "For https: a PEM file of the certificates to trust in place of the system's.")
    var file: String?

    /// - Parameter isLocal: The service is that of the settings, on this machine. Without `--ca` its certificate is not verified: it names
    ///   the host that others call, and nothing leaves the machine.
    func configuration(
        _ configuration: HTTPClient.Configuration = .singletonConfiguration, isLocal: Bool
    ) throws -> HTTPClient.Configuration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        if let file {
            guard let certificates = try? NIOSSLCertificate.fromPEMFile(file) else {
                throw CommandFailure("--ca \(file) cannot be read, or has no certificate in PEM format")
            }
            tls.trustRoots = .certificates(certificates)
        } else if isLocal {
            tls.certificateVerification = .none
        }
        var configuration = configuration
        configuration.tlsConfiguration = tls
        return configuration
    }
}
